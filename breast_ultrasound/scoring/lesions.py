"""Lesion images, empty masks and missed lesions, all by pixels, whatever the class of the image."""

import pandas as pd

# A lesion is missed where its mask has a Dice below this: the mask is empty, or lies on something else.
MISSED_DICE = 0.1


def has_lesion(scores: pd.DataFrame) -> pd.Series:
    """Return whether each row, with the columns tp and fn, is of a lesion image: its true mask is not empty."""
    return scores["tp"] + scores["fn"] > 0


def is_empty(scores: pd.DataFrame) -> pd.Series:
    """Return whether the predicted mask of each row, with the columns tp and fp, is empty."""
    return scores["tp"] + scores["fp"] == 0


def is_missed(scores: pd.DataFrame) -> pd.Series:
    """Return whether the lesion of each row, with the columns tp, fn and dice, is missed; never where there is none."""
    return has_lesion(scores) & (scores["dice"] < MISSED_DICE)
