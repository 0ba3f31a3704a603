"""What is wrong with a predicted mask: one kind of error for each image.

An image has the first of these kinds that fits.

- false positive: a mask on a normal image
- false negative: no mask on a lesion image
- good: a Dice of at least 0.8, or rightly empty
- displaced: sensitivity and precision are both below one half
- fragmented: the mask has more parts than the lesion, and its further parts hold at least a tenth of its area
- under-segmented: more pixels are missing than are too many
- over-segmented: the rest
"""

import cv2
import numpy as np
import pandas as pd

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scoring.lesions import has_lesion, is_empty

KINDS = ("good", "under-segmented", "over-segmented", "displaced", "fragmented", "false negative", "false positive")

GOOD_DICE = 0.8
DISPLACED_SHARE = 0.5
FRAGMENTS_SHARE = 0.1


def fragments(predicted: Mask, truth: Mask) -> float:
    """Return the share of the predicted area beyond its n largest parts, n being the parts of the truth, at least 1."""
    areas = np.sort(_part_areas(predicted))[::-1]
    true_parts = max(1, len(_part_areas(truth)))
    return float(areas[true_parts:].sum() / max(1, areas.sum()))


def classify(scores: pd.DataFrame) -> pd.Series:
    """Return the kind of each row of a table with tp, fp, fn, dice, sensitivity, precision and fragments."""
    lesion, empty = has_lesion(scores), is_empty(scores)
    displaced = (scores["sensitivity"] < DISPLACED_SHARE) & (scores["precision"] < DISPLACED_SHARE)
    conditions = {
        "false positive": ~lesion & ~empty,
        "false negative": lesion & empty,
        "good": scores["dice"] >= GOOD_DICE,
        "displaced": displaced,
        "fragmented": scores["fragments"] >= FRAGMENTS_SHARE,
        "under-segmented": scores["fn"] > scores["fp"],
    }
    return pd.Series(np.select(list(conditions.values()), list(conditions), "over-segmented"), index=scores.index)


def _part_areas(mask: Mask) -> np.ndarray:
    return cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
