"""Find frames of one sweep: sections through one lesion or one breast, which no map brings onto one another.

A frame is a grid of cells, each a vector of features that an encoder learned on ImageNet gives, less the mean of its
place and whitened over all frames (Jégou and Chum, ECCV 2012); cells without tissue are left out. Candidates: the
nearest neighbours by features pooled more coarsely. Check: the mean cosine of the cells where one frame is shifted onto
the other as it fits best, less what is usual between each of the two and its neighbours (Conneau et al., ICLR 2018), so
that a look that many strangers share, such as that of a sector, counts for nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from stages.pipeline.arrays import Grey
from stages.pipeline.engine import map_on_all_cores
from stages.repeats.album import Album, Rows

# What the encoder gives: a grid of cells, each of as many channels.
_GRID = 16
_CELLS = _GRID * _GRID
_CHANNELS = 112
# A pixel above this grey value is tissue, else the black around a sector or below what the beam reached.
_BLACK = 8
# What is added to all variances, as a share of their mean, so that whitening does not blow up what hardly varies.
_SHRINKAGE = 0.1
_SCALE = 127
_TINY = 1e-9

# Candidates are found by this many cells a side, of this many leading components.
_COARSE_GRID = 4
_COARSE_COMPONENTS = 32
_CANDIDATES = 16
# The rank of the neighbour that tells what is usual.
_USUAL = 5

# How far one frame is shifted against the other, in cells, and the share of the grid that must overlap.
_SHIFT_DOWN = 2
_SHIFT_ACROSS = 3
_OVERLAP = 0.3
# Frames of a sweep are of one depth and one width of probe: the natural logarithm of their aspect ratios differs less.
_ASPECT = 0.08

_BATCH = 32

# Gives the features of thumbnails uint8 [n, side, side] as float32 [n, _GRID, _GRID, _CHANNELS].
Encode: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Link:
    """Two frames, by the position of an image of each, and by how much they are more alike than is usual for them."""

    first: int
    second: int
    closeness: float


def find_links(
    album: Album,
    frames: Sequence[int],
    aspects: NDArray[np.float64],
    encode: Encode,
    least: float,
    folder: Path,
) -> list[Link]:
    """The pairs of frames, given by the position of an image of each, that are of one sweep: close by at least `least`.

    `aspects` float64 [k] are width over height of each. What is compared lies in files of `folder` meanwhile, about
    90 KB an image.
    """
    if len(frames) < 3:
        return []
    cells, coarse = _describe(album, frames, encode, folder)
    pairs = _neighbours(coarse)
    likenesses = np.array(list(map_on_all_cores(partial(_likeness, cells), pairs, "sweeps")))
    usual = _usual(pairs, likenesses, len(frames))
    first, second = np.array(pairs).T
    closeness = likenesses - (usual[first] + usual[second]) / 2
    close = (closeness >= least) & (abs(np.log(aspects[first] / aspects[second])) <= _ASPECT)
    return [
        Link(int(frames[one]), int(frames[two]), float(value))
        for one, two, value in zip(first[close], second[close], closeness[close], strict=True)
    ]


def chained(images: int, links: Sequence[Link]) -> NDArray[np.int64]:
    """The sweep of each image: what links join, directly or by others in between; a number of its own for any other."""
    first = np.array([link.first for link in links], np.int64)
    second = np.array([link.second for link in links], np.int64)
    graph = coo_matrix((np.ones(len(links)), (first, second)), shape=(images, images))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _describe(album: Album, frames: Sequence[int], encode: Encode, folder: Path) -> tuple[Rows, NDArray[np.float32]]:
    """The whitened cells of each frame, int8 [_CELLS, _CHANNELS] of length _SCALE or 0, and its coarse features."""
    raw = Rows(folder / "features", np.float16, _CELLS * _CHANNELS)
    for start in range(0, len(frames), _BATCH):
        squares = np.stack([album.square(position) for position in frames[start : start + _BATCH]])
        raw.add(np.where(_tissue(squares)[..., None], encode(squares).reshape(-1, _CELLS, _CHANNELS), np.nan))
    mean, whitening = _whitening(raw)
    cells, coarse = Rows(folder / "cells", np.int8, _CELLS * _CHANNELS), []
    for features in _batches(raw):
        white = np.nan_to_num(features - mean) @ whitening
        white /= np.maximum(np.linalg.norm(white, axis=-1, keepdims=True), _TINY)
        cells.add(np.rint(_SCALE * white))
        coarse.append(_coarse(white))
    raw.clear()
    return cells, np.concatenate(coarse)


def _tissue(squares: Grey) -> NDArray[np.bool_]:
    """Which cells [n, _CELLS] of thumbnails [n, side, side] are tissue for the most part."""
    return _blocks((squares > _BLACK)[..., None], _GRID)[..., 0] > 0.5


def _coarse(white: NDArray[np.float32]) -> NDArray[np.float32]:
    """What candidates are found by, of cells [n, _CELLS, _CHANNELS]: vectors of unit length, or 0 without tissue."""
    leading = white[..., :_COARSE_COMPONENTS].reshape(-1, _GRID, _GRID, _COARSE_COMPONENTS)
    pooled = _blocks(leading, _COARSE_GRID).reshape(len(white), -1)
    return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), _TINY)


def _blocks(values: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Means of [n, side, side, channels] over count × count blocks, as float32 [n, count², channels]."""
    n, side, _, channels = values.shape
    blocks = values.reshape(n, count, side // count, count, side // count, channels)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(n, count * count, channels)


def _batches(raw: Rows) -> Iterator[NDArray[np.float32]]:
    """The features [k, _CELLS, _CHANNELS] of a few images at a time, NaN where there is no tissue."""
    for start in range(0, len(raw), _BATCH):
        yield raw.read(start, start + _BATCH).astype(np.float32).reshape(-1, _CELLS, _CHANNELS)


def _whitening(raw: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean of each place [_CELLS, _CHANNELS], and the map [_CHANNELS, _CHANNELS] to components of unit variance,
    the leading one first."""
    counts, sums = np.zeros((_CELLS, 1)), np.zeros((_CELLS, _CHANNELS))
    products = np.zeros((_CHANNELS, _CHANNELS))
    for features in _batches(raw):
        known = np.nan_to_num(features).astype(np.float64)
        counts += np.isfinite(features[..., :1]).sum(axis=0)
        sums += known.sum(axis=0)
        flat = known.reshape(-1, _CHANNELS)
        products += flat.T @ flat
    mean = sums / np.maximum(counts, 1)
    covariance = (products - sums.T @ mean) / max(counts.sum(), 1)
    variances, components = np.linalg.eigh(covariance)
    scaled = components / np.sqrt(np.maximum(variances, 0) + _SHRINKAGE * variances.mean() + _TINY)
    return mean.astype(np.float32), scaled[:, ::-1].astype(np.float32)


def _neighbours(coarse: NDArray[np.float32]) -> list[tuple[int, int]]:
    """The pairs of places of which one is among the nearest neighbours of the other."""
    nearest = NearestNeighbors(n_neighbors=min(_CANDIDATES, len(coarse) - 1), algorithm="brute").fit(coarse)
    found = nearest.kneighbors(return_distance=False)
    return sorted({(min(one, two), max(one, two)) for one, row in enumerate(found.tolist()) for two in row})


def _likeness(cells: Rows, pair: tuple[int, int]) -> float:
    """The mean cosine of the cells that lie on one another, of two frames shifted as it fits best; -1 where no shift
    brings enough tissue onto tissue."""
    one, two = (cells.read(place, place + 1).reshape(_CELLS, _CHANNELS).astype(np.float32) for place in pair)
    cosines = (one @ two.T).ravel()
    tissue = np.logical_and.outer(one.any(axis=1), two.any(axis=1)).ravel()
    places, starts = _shifts()
    sums, counts = (np.add.reduceat(values[places], starts, dtype=np.float64) for values in (cosines, tissue))
    enough = counts >= _OVERLAP * _CELLS
    return float((sums[enough] / counts[enough]).max() / _SCALE**2) if enough.any() else -1.0


@cache
def _shifts() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of cells that lie on one another, as first · _CELLS + second, and where those of each shift begin."""
    rows, columns = np.divmod(np.arange(_CELLS), _GRID)
    shifts = [
        (down, across)
        for down in range(-_SHIFT_DOWN, _SHIFT_DOWN + 1)
        for across in range(-_SHIFT_ACROSS, _SHIFT_ACROSS + 1)
    ]
    pairs = []
    for down, across in shifts:
        row, column = rows + down, columns + across
        inside = (row >= 0) & (row < _GRID) & (column >= 0) & (column < _GRID)
        pairs.append((row * _GRID + column)[inside] * _CELLS + np.flatnonzero(inside))
    return np.concatenate(pairs), np.cumsum([0, *map(len, pairs)])[:-1]


def _usual(pairs: Sequence[tuple[int, int]], likenesses: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """What is usual for each frame: its likeness with its neighbour of rank _USUAL, or with its last one."""
    of_frame: list[list[float]] = [[] for _ in range(frames)]
    for pair, likeness in zip(pairs, likenesses.tolist(), strict=True):
        for place in pair:
            of_frame[place].append(likeness)
    return np.array([sorted(values, reverse=True)[:_USUAL][-1] for values in of_frame])
