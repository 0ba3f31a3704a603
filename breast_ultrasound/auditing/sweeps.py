"""Find frames of one sweep: sections through one lesion or one breast, which no map brings onto one another.

Candidates: the nearest neighbours by coarse features (auditing/sweep_features.py). Check: the mean cosine of the cells
where one frame is shifted onto the other as it fits best, less what is usual between each of the two and its neighbours
(Conneau et al., ICLR 2018), so that a look that many strangers share, such as that of a sector, counts for nothing. A
first round finds sweeps; in a second one frames of the same sweep no longer count as neighbours, since in a long sweep
all neighbours of a frame may be of its own sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from breast_ultrasound.auditing.album import Album, Rows
from breast_ultrasound.auditing.sweep_features import CELLS, CHANNELS, GRID, SCALE, Encode, describe_frames
from breast_ultrasound.pipeline.engine import map_on_all_cores

_CANDIDATES = 16
# The rank of the neighbour whose likeness is the usual one.
_USUAL = 5

# How far one frame is shifted against the other, in cells, and the share of the grid that must overlap.
_SHIFT_DOWN = 2
_SHIFT_ACROSS = 3
_OVERLAP = 0.3
# Frames of a sweep are of one depth and one width of probe: the natural logarithm of their aspect ratios differs less.
_ASPECT = 0.08


@dataclass(frozen=True)
class Frames:
    """Frames to compare: the position in an album of an image of each, and width over height of each, float64 [k]."""

    album: Album
    positions: Sequence[int]
    aspects: NDArray[np.float64]


@dataclass(frozen=True)
class SweepPair:
    """Two frames of one sweep, by the position of an image of each, and their closeness.

    That is by how much they are more alike than is usual for them.
    """

    first: int
    second: int
    closeness: float


def find_sweep_pairs(frames: Frames, encode: Encode, least: float, folder: Path) -> list[SweepPair]:
    """Return the pairs of frames that are close by at least `least`; none of fewer than three frames.

    What is compared is in files of `folder` meanwhile, about 90 KB an image.
    """
    count = len(frames.positions)
    if count < 3:
        return []
    # One thread a core computes; more of the libraries' own would wait for one another.
    with threadpool_limits(1, "blas"):
        cells, coarse = describe_frames(frames.album, frames.positions, encode, folder)
        pairs = _neighbours(coarse)
        likenesses = _likenesses(cells, pairs)
    first, second = pairs.T
    fits = abs(np.log(frames.aspects[first] / frames.aspects[second])) <= _ASPECT
    usual = _usual(pairs, likenesses, count)
    sweeps = _components(count, pairs[fits & (_closeness(pairs, likenesses, usual) >= least)])
    strangers = sweeps[first] != sweeps[second]
    usual = np.minimum(usual, _usual(pairs[strangers], likenesses[strangers], count))
    closeness = _closeness(pairs, likenesses, usual)
    close = fits & (closeness >= least)
    return [
        SweepPair(int(frames.positions[one]), int(frames.positions[two]), float(value))
        for one, two, value in zip(first[close], second[close], closeness[close], strict=True)
    ]


def chain(images: int, pairs: Sequence[SweepPair]) -> NDArray[np.int64]:
    """Return the sweep of each image: pairs join it to others, directly or through others; alone, it has its own.

    >>> chain(4, [SweepPair(0, 2, 0.1), SweepPair(2, 3, 0.1)]).tolist()
    [0, 1, 0, 0]
    """
    return _components(images, np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2))


def _components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the connected component of each of `count` places that pairs [k, 2] join."""
    graph = coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _neighbours(coarse: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the pairs [k, 2] of places of which one is among the nearest neighbours of the other, in order."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  two seconds, which only the search for sweeps takes

    nearest = NearestNeighbors(n_neighbors=min(_CANDIDATES, len(coarse) - 1), algorithm="brute").fit(coarse)
    neighbours = nearest.kneighbors(return_distance=False)
    places = np.repeat(np.arange(len(neighbours)), neighbours.shape[1])
    return np.unique(np.sort(np.stack([places, neighbours.ravel()], axis=1), axis=1), axis=0)


def _likenesses(cells: Rows, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Measure the likeness of each pair of places [k, 2], float64 [k]."""
    firsts, starts = np.unique(pairs[:, 0], return_index=True)
    others = np.split(pairs[:, 1], starts[1:])
    compared = zip(firsts.tolist(), others, strict=True)
    return np.concatenate(list(map_on_all_cores(partial(_likeness, cells), compared, "sweeps", len(firsts))))


def _likeness(cells: Rows, places: tuple[int, NDArray[np.int64]]) -> NDArray[np.float64]:
    """Measure the likeness of a frame and each of some others.

    It is the mean cosine of the cells that lie on one another, at the shift that fits best; -1 where no shift brings
    enough tissue onto tissue.
    """
    place, others = places
    shape = (-1, GRID, GRID, CHANNELS)
    one, *rest = (cells.read(number, number + 1).reshape(shape).astype(np.float32) for number in (place, *others))
    two = np.concatenate(rest)
    # Sums of products of whole numbers below 2^24: exact in float32, in whatever order they are added.
    sums = _shifted(one[0]) @ two.reshape(len(two), -1).T
    counts = _shifted(_filled(one[0])) @ _filled(two).reshape(len(two), -1).T
    enough = counts >= _OVERLAP * CELLS
    means = np.divide(sums, counts, out=np.full(sums.shape, -np.inf), where=enough, dtype=np.float64)
    return np.where(enough.any(axis=0), means.max(axis=0) / SCALE**2, -1.0)


def _filled(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return which cells [..., CHANNELS] are tissue, as 0 and 1 [..., 1]."""
    return np.asarray(cells.any(axis=-1, keepdims=True), np.float32)


def _shifted(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift a grid [GRID, GRID, channels] in all ways, with 0 where nothing comes in; a row each."""
    padded = np.pad(grid, ((_SHIFT_DOWN, _SHIFT_DOWN), (_SHIFT_ACROSS, _SHIFT_ACROSS), (0, 0)))
    windows = sliding_window_view(padded, (GRID, GRID), axis=(0, 1))
    return windows.transpose(0, 1, 3, 4, 2).reshape(-1, grid.size)


def _usual(pairs: NDArray[np.int64], likenesses: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Return the usual likeness of each frame: that with its neighbour of rank _USUAL, or with its last one.

    It is infinite for a frame without a neighbour.
    """
    places, values = pairs.T.ravel(), np.tile(likenesses, 2)
    order = np.lexsort((-values, places))
    starts = np.searchsorted(places[order], np.arange(frames + 1))
    usual, has_neighbour = np.full(frames, np.inf), starts[1:] > starts[:-1]
    usual[has_neighbour] = values[order][np.minimum(starts[:-1] + _USUAL, starts[1:])[has_neighbour] - 1]
    return usual


def _closeness(
    pairs: NDArray[np.int64], likenesses: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much the likeness of each pair exceeds the mean of what is usual for its two frames."""
    return likenesses - usual[pairs].mean(axis=1)
