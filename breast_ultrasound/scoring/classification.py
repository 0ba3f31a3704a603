"""Figures of the predicted class of images, of networks with a class head."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES, UNSPECIFIED
from breast_ultrasound.scoring.confidence import mean_of_most_confident, reliability
from breast_ultrasound.scoring.intervals import DIGITS, Interval, auc, auc_interval, score_interval

# The columns of the scores with the probability of each class, of networks with a class head.
CLASS_PROBABILITIES = [f"p_{name}" for name in CLASSES]


def classification(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the figures of the most probable class, of a table with one row an image.

    They are empty where no class was predicted, or where the class of all lesions is unspecified. Images of unspecified
    class are left out.

    `confusion` counts by the true and then by the predicted class. `accuracy` is the share of images whose class is
    right; precision, recall and F1 are 0 where they are undefined. `malignant against benign` is the area under the ROC
    curve among the images of these two classes, `lesion against normal` that of all, each left out where one side is
    missing. `calibration error` is the mean gap between the probability of the most probable class and the share that
    is right, by tenths of it (Naeini et al., AAAI 2015), and `reliability` holds both for each tenth.
    """
    classes = set(scores["class"])
    if (classes <= {UNSPECIFIED, "normal"} and UNSPECIFIED in classes) or not set(CLASS_PROBABILITIES) <= set(
        scores.columns
    ):
        return {}
    scores = scores[scores["class"] != UNSPECIFIED]
    probabilities, true = scores[CLASS_PROBABILITIES].to_numpy(float), scores["class"].to_numpy()
    groups, names = scores["group"].to_numpy(), list(CLASSES)
    predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
    right = (predicted == true).astype(float)
    counts = pd.crosstab(true, predicted).reindex(index=names, columns=names, fill_value=0)
    hits, actual, assigned = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rates = {"precision": hits / assigned, "recall": hits / actual, "f1": 2 * hits / (actual + assigned)}
    figures: dict[str, Any] = {
        "confusion": counts.T.to_dict(),
        "accuracy": _figure(right.mean(), score_interval(right, groups, confidence)),
        "by class": pd.DataFrame(rates).fillna(0).round(DIGITS).T.to_dict(),
        "accuracy of the most confident": mean_of_most_confident(probabilities.max(axis=1), right),
    }
    lesions, normal = true != "normal", probabilities[:, CLASSES.index("normal")]
    for name, rows, probability, positive in (
        ("malignant against benign", lesions, malignancy(probabilities), true == "malignant"),
        ("lesion against normal", lesions | True, 1 - normal, lesions),
    ):
        if positive[rows].any() and not positive[rows].all():
            interval = auc_interval(probability[rows], positive[rows], groups[rows], confidence)
            figures[name] = _figure(auc(probability[rows], positive[rows]), interval)
    return figures | reliability(probabilities.max(axis=1), right)


def malignancy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability [n] of malignant, given a lesion, of the probabilities [n, 3] of CLASSES."""
    benign, malignant = probabilities[:, CLASSES.index("benign")], probabilities[:, CLASSES.index("malignant")]
    either = benign + malignant
    return np.divide(malignant, either, out=np.full(len(either), 0.5), where=either > 0)


def _figure(value: float, interval: Interval) -> dict[str, float]:
    names = ("value", "low", "high")
    return {name: round(float(part), DIGITS) for name, part in zip(names, (value, *interval), strict=True)}
