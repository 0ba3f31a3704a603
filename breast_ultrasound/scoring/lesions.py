"""What makes a lesion image and a clean prediction: pixels, whatever the class of the image."""

import pandas as pd

# A lesion is lost where its mask has a Dice below this: it is missed, or something else is taken for it.
LOST = 0.1


def has_lesion(scores: pd.DataFrame) -> pd.Series:
    """Whether the true mask of each row, with the columns tp and fn, is not empty: a lesion image."""
    return scores["tp"] + scores["fn"] > 0


def is_clean(scores: pd.DataFrame) -> pd.Series:
    """Whether the predicted mask of each row, with the columns tp and fp, is empty."""
    return scores["tp"] + scores["fp"] == 0


def is_lost(scores: pd.DataFrame) -> pd.Series:
    """Whether the lesion of each row, with the columns tp, fn and dice, is lost; never where there is none."""
    return has_lesion(scores) & (scores["dice"] < LOST)
