"""What must stay together: images of one patient, and images of one frame."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def join(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest groups that hold together what either of two groupings [n] does, numbered by their first image."""
    one, two = (np.unique(groups, return_inverse=True)[1] for groups in (one, two))
    size = len(one)
    links = coo_matrix((np.ones(size), (one, two + size)), shape=(2 * size, 2 * size))
    return pd.factorize(connected_components(links, directed=False)[1][one])[0]


def by_patient(patients: pd.Series) -> NDArray[np.int64]:
    """Group images by patient; one whose patient is not known, the empty text, is a group of its own."""
    numbers = pd.factorize(patients)[0]
    return np.where(patients == "", len(patients) + np.arange(len(patients)), numbers)
