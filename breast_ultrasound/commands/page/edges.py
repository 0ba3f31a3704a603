"""A mask as its edges: the places, row by row, where lesion begins and ends. So it travels between page and browser."""

import numpy as np

from breast_ultrasound.pipeline.arrays import Mask


def edges_of(mask: Mask) -> list[int]:
    """Return the places where the lesion of bool [height, width] begins and ends, counted row by row.

    >>> edges_of(np.array([[0, 1, 1], [1, 0, 0]], bool)), edges_of(np.zeros((2, 3), bool))
    ([1, 4], [])
    """
    return np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0, append=0)).tolist()


def mask_of(edges: list[int], shape: tuple[int, ...]) -> Mask:
    """Return the mask of edges, bool of `shape`; ValueError where they are none of such a mask.

    >>> mask_of([1, 4], (2, 3)).astype(int).tolist()
    [[0, 1, 1], [1, 0, 0]]
    """
    size = int(np.prod(shape))
    places = np.array(edges, np.int64)
    if len(places) % 2 or (np.diff(places, prepend=-1, append=size + 1) <= 0).any():
        raise ValueError("edges do not rise within the frame")
    steps = np.zeros(size + 1, np.int8)
    steps[places[::2]], steps[places[1::2]] = 1, -1
    return np.cumsum(steps, dtype=np.int8)[:-1].astype(bool).reshape(shape)
