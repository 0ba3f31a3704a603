"""Which images train, validate and test when a fold is run."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# The fold of an image that the audit dropped.
UNUSED = -1


def subsets(folds: pd.Series, fold: int) -> NDArray[np.str_]:
    """The subset of each image: `test` in fold `fold`, `validation` in the next (cyclically), `unused` or `train`."""
    following = (fold + 1) % (folds.max() + 1)
    roles = [folds == fold, folds == following, folds == UNUSED]
    return np.select(roles, ["test", "validation", "unused"], "train")
