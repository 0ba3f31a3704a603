"""How well the network tells what an image shows, of networks with a class head."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES, UNTOLD
from breast_ultrasound.scoring.intervals import DIGITS, Interval, auc, auc_interval, score_interval

# The columns of the scores that hold the probability of each class, of networks with a class head.
CLASS_PROBABILITIES = [f"p_{name}" for name in CLASSES]


def classification(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Figures of the likeliest class, of a table with a row an image; empty where no class was predicted.

    Images whose class is not told are left out; where all lesions are such there is nothing to tell either.

    `confusion` counts by the true and then by the predicted class. `accuracy` is the share of images whose class is
    right; precision, recall and F1 are 0 where they are undefined. `malignant against benign` is the area under the ROC
    curve among the images of these two classes, `lesion against normal` that of all, each left out where one side is
    missing. `calibration error` is the mean gap between the probability of the likeliest class and the share that is
    right, by tenths of it (Naeini et al., AAAI 2015), and `reliability` both of each tenth.
    """
    classes = set(scores["class"])
    if (classes <= {UNTOLD, "normal"} and UNTOLD in classes) or not set(CLASS_PROBABILITIES) <= set(scores.columns):
        return {}
    scores = scores[scores["class"] != UNTOLD]
    probabilities, true = scores[CLASS_PROBABILITIES].to_numpy(float), scores["class"].to_numpy()
    groups, names = scores["group"].to_numpy(), list(CLASSES)
    said = np.array(CLASSES)[probabilities.argmax(axis=1)]
    right = (said == true).astype(float)
    counts = pd.crosstab(true, said).reindex(index=names, columns=names, fill_value=0)
    hits, actual, claimed = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rates = {"precision": hits / claimed, "recall": hits / actual, "f1": 2 * hits / (actual + claimed)}
    figures: dict[str, Any] = {
        "confusion": counts.T.to_dict(),
        "accuracy": _figure(right.mean(), score_interval(right, groups, confidence)),
        "by class": pd.DataFrame(rates).fillna(0).round(DIGITS).T.to_dict(),
        "accuracy of the surest": of_surest(probabilities.max(axis=1), right),
    }
    lesions, normal = true != "normal", probabilities[:, CLASSES.index("normal")]
    for name, rows, chance, positive in (
        ("malignant against benign", lesions, malignancy(probabilities), true == "malignant"),
        ("lesion against normal", lesions | True, 1 - normal, lesions),
    ):
        if positive[rows].any() and not positive[rows].all():
            interval = auc_interval(chance[rows], positive[rows], groups[rows], confidence)
            figures[name] = _figure(auc(chance[rows], positive[rows]), interval)
    return figures | reliability(probabilities.max(axis=1), right)


def of_surest(sure: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, float]:
    """The mean value [n] of the images that are surest [n], by the share of the images that these are."""
    order = np.argsort(-sure, kind="stable")
    return {
        f"{share}%": round(float(value[order[: max(1, round(len(order) * share / 100))]].mean()), DIGITS)
        for share in range(50, 101, 10)
    }


def reliability(sure: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, Any]:
    """The expected calibration error of probabilities [n] of being right, 0 or 1 [n], and the bins it is made of."""
    tenth = np.minimum((sure * 10).astype(int), 9)
    bins = pd.DataFrame({"probability": sure, "right": right}).groupby(tenth)
    table = bins.mean().assign(images=bins.size())
    gap = (table["probability"] - table["right"]).abs()
    return {
        "calibration error": round(float((gap * table["images"]).sum() / len(sure)), DIGITS),
        "reliability": table.round(DIGITS).to_dict("records"),
    }


def malignancy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chance of a malignant lesion, given that it is a lesion, of the probabilities [n, 3] of CLASSES."""
    benign, malignant = probabilities[:, CLASSES.index("benign")], probabilities[:, CLASSES.index("malignant")]
    either = benign + malignant
    return np.divide(malignant, either, out=np.full(len(either), 0.5), where=either > 0)


def _figure(value: float, interval: Interval) -> dict[str, float]:
    names = ("value", "low", "high")
    return {name: round(float(part), DIGITS) for name, part in zip(names, (value, *interval), strict=True)}
