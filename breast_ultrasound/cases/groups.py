"""Group what must stay on one side of every split: the images of a frame, a sweep and a patient."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def join_groups(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join two groupings [n] of the same images: images together in either of them are together in the result.

    Its groups are the smallest such ones, numbered by their first image; empty groupings give an empty one.

    >>> sweeps, patients = np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])
    >>> join_groups(sweeps, patients).tolist()
    [0, 0, 0, 1]
    """
    one, two = (np.unique(groups, return_inverse=True)[1] for groups in (one, two))
    size = len(one)
    joined = coo_matrix((np.ones(size), (one, two + size)), shape=(2 * size, 2 * size))
    return pd.factorize(connected_components(joined, directed=False)[1][one])[0]


def group_by_patient(patients: pd.Series) -> NDArray[np.int64]:
    """Group images by patient; an image whose patient is not recorded, the empty text, is a group of its own.

    >>> group_by_patient(pd.Series(["P1", "", "P1", ""])).tolist()
    [0, 5, 0, 7]
    """
    numbers = pd.factorize(patients)[0]
    return np.where(patients == "", len(patients) + np.arange(len(patients)), numbers)
