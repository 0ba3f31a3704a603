"""Which images train, validate and test when a fold is run."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def subsets(folds: pd.Series, fold: int) -> NDArray[np.str_]:
    """The subset of each image: `test` in fold `fold`, `validation` in the next one (cyclically), else `train`."""
    following = (fold + 1) % (folds.max() + 1)
    return np.where(folds == fold, "test", np.where(folds == following, "validation", "train"))
