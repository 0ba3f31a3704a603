"""Figures of the pixels of many images together, from how many pixels have each level of probability."""

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.scoring.intervals import DIGITS

# Pixels [2, 256] of each level of probability: those inside true lesions first, those outside second.
Levels: TypeAlias = NDArray[np.int64]

_BINS = 10


def count_levels(probability: Grey, truth: Mask) -> Levels:
    """Count the pixels [2, 256] of each level of a probability, uint8 [height, width], in and off the lesion."""
    inside = np.bincount(probability[truth], minlength=256)
    return np.stack([inside, np.bincount(probability.ravel(), minlength=256) - inside])


def precision_recall(levels: Levels) -> pd.DataFrame:
    """Return precision and recall of all pixels together at each threshold, of pixels [2, 256] of each level."""
    tp, fp = (np.cumsum(side[::-1])[::-1] for side in levels)
    table = pd.DataFrame({"threshold": np.arange(256) / 255, "tp": tp, "fp": fp})[1:]
    table = table[table["tp"] + table["fp"] > 0]
    recall, precision = table["tp"] / max(1, levels[0].sum()), table["tp"] / (table["tp"] + table["fp"])
    return table.assign(recall=recall, precision=precision)[["threshold", "recall", "precision"]].round(DIGITS)


def reliability(levels: Levels) -> pd.DataFrame:
    """Return the mean probability and the share of lesion pixels by tenth of probability, of pixels [2, 256]."""
    return _tenths(levels).round(DIGITS)[["probability", "lesion_share", "pixels"]]


def calibration_error(levels: Levels) -> float:
    """Return the expected calibration error of pixels [2, 256] of each level.

    It is the mean gap between probability and share of lesion pixels by tenths, weighted by pixels (Naeini et al., AAAI
    2015).
    """
    tenths = _tenths(levels)
    gap = (tenths["probability"] - tenths["lesion_share"]).abs()
    return round(float((gap * tenths["pixels"]).sum() / tenths["pixels"].sum()), DIGITS)


def _tenths(levels: Levels) -> pd.DataFrame:
    inside, outside = levels
    level = np.arange(256)
    tenth = np.minimum(level * _BINS // 255, _BINS - 1)
    table = pd.DataFrame(
        {
            "pixels": np.bincount(tenth, inside + outside, _BINS).astype(int),
            "probability": np.bincount(tenth, (inside + outside) * level / 255, _BINS),
            "lesion_share": np.bincount(tenth, inside, _BINS),
        }
    )
    table = table[table["pixels"] > 0]
    return table.assign(
        probability=table["probability"] / table["pixels"], lesion_share=table["lesion_share"] / table["pixels"]
    )
