"""Overlap scores of a predicted mask with the true one, from their pixel counts.

The rule for empty masks, used everywhere: both empty, Dice = IoU = 1; exactly one empty, 0. Sensitivity is undefined
where the true mask is empty, precision where the predicted one is, specificity where the true one fills the image: NaN,
left out of means.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.images import Mask

SCORES = ("dice", "iou", "sensitivity", "precision", "specificity")

Counts = NDArray[np.int64]


def count(predicted: Mask, truth: Mask) -> dict[str, int]:
    """True and false positive and negative pixels of two bool masks [height, width]."""
    tp = int(np.count_nonzero(predicted & truth))
    fp, fn = int(np.count_nonzero(predicted)) - tp, int(np.count_nonzero(truth)) - tp
    return {"tp": tp, "fp": fp, "fn": fn, "tn": truth.size - tp - fp - fn}


def dice(tp: Counts, fp: Counts, fn: Counts) -> NDArray[np.float64]:
    """2·TP / (2·TP + FP + FN), elementwise (Dice, Ecology 26, 1945)."""
    return _ratio(2 * tp, 2 * tp + fp + fn, empty=1.0)


def add_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Append the scores of each row to a table with the columns tp, fp, fn and tn."""
    tp, fp, fn, tn = (counts[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))
    return counts.assign(
        dice=dice(tp, fp, fn),
        iou=_ratio(tp, tp + fp + fn, empty=1.0),
        sensitivity=_ratio(tp, tp + fn, empty=np.nan),
        precision=_ratio(tp, tp + fp, empty=np.nan),
        specificity=_ratio(tn, tn + fp, empty=np.nan),
    )


def _ratio(part: Counts, whole: Counts, empty: float) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(whole), empty), where=np.asarray(whole) > 0)
