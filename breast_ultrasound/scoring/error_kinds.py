"""What is wrong with a predicted mask: one kind for each image.

Kinds are tried in this order, and the first that fits is taken.

- false alarm: a mask on an image without a lesion
- missed: no mask on an image with a lesion
- good: Dice of at least 0.8, or rightly empty
- displaced: less than half of the lesion is found, and less than half of what is predicted is lesion
- fragmented: more parts than the lesion has, and those beyond the largest hold at least a tenth of the predicted area
- under-segmented: more pixels missing than too many
- over-segmented: the rest
"""

import cv2
import numpy as np
import pandas as pd

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scoring.lesions import has_lesion, is_clean

KINDS = ("good", "under-segmented", "over-segmented", "displaced", "fragmented", "missed", "false alarm")

GOOD_DICE = 0.8
DISPLACED_SHARE = 0.5
FRAGMENTS_SHARE = 0.1


def fragments(predicted: Mask, truth: Mask) -> float:
    """Share of the predicted area in parts beyond the n largest, n being the parts of the truth, at least one."""
    areas = np.sort(_part_areas(predicted))[::-1]
    expected = max(1, len(_part_areas(truth)))
    return float(areas[expected:].sum() / max(1, areas.sum()))


def classify(scores: pd.DataFrame) -> pd.Series:
    """The kind of each row of a table with the columns tp, fp, fn, dice, sensitivity, precision and fragments."""
    lesion, clean = has_lesion(scores), is_clean(scores)
    displaced = (scores["sensitivity"] < DISPLACED_SHARE) & (scores["precision"] < DISPLACED_SHARE)
    tried = {
        "false alarm": ~lesion & ~clean,
        "missed": lesion & clean,
        "good": scores["dice"] >= GOOD_DICE,
        "displaced": displaced,
        "fragmented": scores["fragments"] >= FRAGMENTS_SHARE,
        "under-segmented": scores["fn"] > scores["fp"],
    }
    return pd.Series(np.select(list(tried.values()), list(tried), "over-segmented"), index=scores.index)


def _part_areas(mask: Mask) -> np.ndarray:
    return cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
