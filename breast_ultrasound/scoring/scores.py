"""Scores of a predicted mask against the true one, on the image's own grid.

The rule for empty masks, used everywhere: both empty, Dice = IoU = 1; exactly one empty, 0. Sensitivity and area error
are undefined where the true mask is empty, precision where the predicted one is, specificity where the true one fills
the image, distances where either is empty: NaN, left out of means, and the number left out is reported.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from breast_ultrasound.pipeline.arrays import Mask

# The version of the rules by which this module scores. Raise it when a score of any pair of masks changes, so that
# `compare` refuses to hold runs against each other that were scored by different rules; runs record it in
# metrics/figures.json. All runs from before it was recorded have version 1.
SCORING_RULES = 1

SCORES = ("dice", "iou", "sensitivity", "precision", "specificity", "hd95", "assd", "area_error")

Counts = NDArray[np.int64]


def count(predicted: Mask, truth: Mask) -> dict[str, int]:
    """Count the true and false, positive and negative pixels of two masks, bool [height, width].

    >>> predicted, truth = np.array([[1, 1, 0, 0]]) > 0, np.array([[0, 1, 1, 0]]) > 0
    >>> count(predicted, truth)
    {'tp': 1, 'fp': 1, 'fn': 1, 'tn': 1}
    """
    tp = int(np.count_nonzero(predicted & truth))
    fp, fn = int(np.count_nonzero(predicted)) - tp, int(np.count_nonzero(truth)) - tp
    return {"tp": tp, "fp": fp, "fn": fn, "tn": truth.size - tp - fp - fn}


def dice(tp: Counts, fp: Counts, fn: Counts) -> NDArray[np.float64]:
    """Return 2·TP / (2·TP + FP + FN), elementwise, and 1 where both masks are empty (Dice, Ecology 26, 1945).

    >>> dice(np.array([3, 0, 0]), np.array([1, 4, 0]), np.array([1, 0, 0]))
    array([0.75, 0.  , 1.  ])
    """
    return _ratio(2 * tp, 2 * tp + fp + fn, empty=1.0)


def add_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Append the overlap scores to each row of a table with the columns tp, fp, fn and tn.

    `area_error` is the predicted area minus the true one, as a share of the true one.
    """
    tp, fp, fn, tn = (counts[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))
    return counts.assign(
        dice=dice(tp, fp, fn),
        iou=_ratio(tp, tp + fp + fn, empty=1.0),
        sensitivity=_ratio(tp, tp + fn, empty=np.nan),
        precision=_ratio(tp, tp + fp, empty=np.nan),
        specificity=_ratio(tn, tn + fp, empty=np.nan),
        area_error=_ratio(fp - fn, tp + fn, empty=np.nan),
    )


def surface_distances(predicted: Mask, truth: Mask) -> dict[str, float]:
    """Return the HD95 and the average symmetric surface distance of two masks, bool [height, width], in pixels.

    The surface of a mask is those of its pixels that have one of four neighbours outside the mask; the edge of the
    image counts as outside. `hd95` is the larger of the two directed 95th percentiles, `assd` the mean over the pixels
    of both surfaces (Heimann et al., IEEE TMI 28, 2009). Both are NaN where a mask is empty.

    >>> square = np.zeros((40, 40), bool)
    >>> square[10:20, 10:20] = True
    >>> surface_distances(square, np.roll(square, 4, axis=1))["hd95"]
    4.0
    """
    if not predicted.any() or not truth.any():
        return {"hd95": math.nan, "assd": math.nan}
    # Distances are computed inside the box around both masks alone, since the whole image takes far longer.
    rows, columns = np.nonzero(predicted | truth)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    surfaces = [mask[box] & ~binary_erosion(mask[box]) for mask in (predicted, truth)]
    there, back = (np.asarray(distance_transform_edt(~other))[surface] for surface, other in (surfaces, surfaces[::-1]))
    return {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "assd": float((there.sum() + back.sum()) / (len(there) + len(back))),
    }


def _ratio(part: Counts, whole: Counts, empty: float) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(whole), empty), where=np.asarray(whole) > 0)
