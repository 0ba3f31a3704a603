"""How well the network tells what an image shows, of networks with a class head."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.cases.classes import CLASSES
from stages.scoring.intervals import Interval, auc, auc_interval, score_interval
from stages.scoring.predictions import CLASS_PROBABILITIES

_DIGITS = 4


def classification(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Figures of the likeliest class, of a table with a row an image; empty where no class was predicted.

    `confusion` counts by the true and then by the predicted class. `accuracy` is the share of images whose class is
    right; precision, recall and F1 are 0 where they are undefined. `malignant against benign` is the area under the ROC
    curve among the images of these two classes, left out where one is missing.
    """
    if not set(CLASS_PROBABILITIES) <= set(scores.columns):
        return {}
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
        "by class": pd.DataFrame(rates).fillna(0).round(_DIGITS).T.to_dict(),
    }
    lesions = true != "normal"
    malignant = true[lesions] == "malignant"
    if malignant.any() and not malignant.all():
        chance = _malignancy(probabilities[lesions])
        interval = auc_interval(chance, malignant, groups[lesions], confidence)
        figures["malignant against benign"] = _figure(auc(chance, malignant), interval)
    return figures


def _malignancy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chance of a malignant lesion, given that it is a lesion, of the probabilities [n, 3] of CLASSES."""
    benign, malignant = probabilities[:, CLASSES.index("benign")], probabilities[:, CLASSES.index("malignant")]
    either = benign + malignant
    return np.divide(malignant, either, out=np.full(len(either), 0.5), where=either > 0)


def _figure(value: float, interval: Interval) -> dict[str, float]:
    names = ("value", "low", "high")
    return {name: round(float(part), _DIGITS) for name, part in zip(names, (value, *interval), strict=True)}
