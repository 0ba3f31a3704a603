"""Find frames of one sweep: sections through one lesion or one breast, which no map brings onto one another.

A frame is a grid of cells, each a vector of features that an encoder learned on ImageNet gives, less the mean of its
place and whitened over all frames (Jégou and Chum, ECCV 2012); cells without tissue are left out. Candidates: the
nearest neighbours by features pooled more coarsely. Check: the mean cosine of the cells where one frame is shifted onto
the other as it fits best, less what is usual between each of the two and its neighbours (Conneau et al., ICLR 2018), so
that a look that many strangers share, such as that of a sector, counts for nothing. A first round tells who is of one
sweep; in a second one they no longer count as neighbours, since of a long sweep all of them may be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.repeats.album import Album, Rows

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

# Images that are encoded at a time: more take no less time, but memory. And those that are whitened at a time.
_ENCODED = 8
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
    # One thread a core computes; more of the libraries' own would wait for one another.
    with threadpool_limits(1, "blas"):
        cells, coarse = _describe(_encoded(album, frames, encode, folder), folder)
        pairs = _neighbours(coarse)
        likenesses = _likenesses(cells, pairs)
    first, second = pairs.T
    fits = abs(np.log(aspects[first] / aspects[second])) <= _ASPECT
    usual = _usual(pairs, likenesses, len(frames))
    sweeps = _components(len(frames), pairs[fits & (_closeness(pairs, likenesses, usual) >= least)])
    strangers = sweeps[first] != sweeps[second]
    usual = np.minimum(usual, _usual(pairs[strangers], likenesses[strangers], len(frames)))
    closeness = _closeness(pairs, likenesses, usual)
    close = fits & (closeness >= least)
    return [
        Link(int(frames[one]), int(frames[two]), float(value))
        for one, two, value in zip(first[close], second[close], closeness[close], strict=True)
    ]


def chained(images: int, links: Sequence[Link]) -> NDArray[np.int64]:
    """The sweep of each image: what links join, directly or by others in between; a number of its own for any other."""
    return _components(images, np.array([(link.first, link.second) for link in links], np.int64).reshape(-1, 2))


def _components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the component of each of `count` places that pairs [k, 2] of them join."""
    graph = coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _encoded(album: Album, frames: Sequence[int], encode: Encode, folder: Path) -> Rows:
    """The features of each frame, float16 [_CELLS, _CHANNELS], NaN where there is no tissue."""
    raw = Rows(folder / "features", np.float16, _CELLS * _CHANNELS)
    batches = [frames[start : start + _ENCODED] for start in range(0, len(frames), _ENCODED)]
    for features in map_on_all_cores(partial(_features, album, encode), batches, "encode"):
        raw.add(features)
    return raw


def _features(album: Album, encode: Encode, frames: Sequence[int]) -> NDArray[np.float16]:
    """The features [k, _CELLS, _CHANNELS] of a few frames."""
    squares = np.stack([album.square(position) for position in frames])
    cells = encode(squares).reshape(-1, _CELLS, _CHANNELS)
    return np.where(_tissue(squares)[..., None], cells, np.nan).astype(np.float16)


def _describe(raw: Rows, folder: Path) -> tuple[Rows, NDArray[np.float32]]:
    """The whitened cells of each frame, int8 [_CELLS, _CHANNELS] of length _SCALE or 0, and its coarse features."""
    cells = Rows(folder / "cells", np.int8, _CELLS * _CHANNELS)
    coarse = np.empty((len(raw), _COARSE_GRID**2 * _COARSE_COMPONENTS), np.float32)
    whiten = partial(_whitened, raw, *_whitening(raw))
    for white in map_on_all_cores(whiten, range(0, len(raw), _BATCH)):
        coarse[len(cells) : len(cells) + len(white)] = _coarse(white)
        cells.add(np.rint(_SCALE * white))
    raw.clear()
    return cells, coarse


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


def _batch(raw: Rows, start: int) -> NDArray[np.float32]:
    """The features [k, _CELLS, _CHANNELS] of a few images from `start` on."""
    return raw.read(start, start + _BATCH).astype(np.float32).reshape(-1, _CELLS, _CHANNELS)


def _whitening(raw: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean of each place [_CELLS, _CHANNELS], and the map [_CHANNELS, _CHANNELS] to components of unit variance,
    the leading one first."""
    counts, sums = np.zeros((_CELLS, 1)), np.zeros((_CELLS, _CHANNELS))
    products = np.zeros((_CHANNELS, _CHANNELS))
    for known, total, product in map_on_all_cores(partial(_moments, raw), range(0, len(raw), _BATCH)):
        counts += known
        sums += total
        products += product
    mean = sums / np.maximum(counts, 1)
    covariance = (products - sums.T @ mean) / max(counts.sum(), 1)
    variances, components = np.linalg.eigh(covariance)
    scaled = components / np.sqrt(np.maximum(variances, 0) + _SHRINKAGE * variances.mean() + _TINY)
    return mean.astype(np.float32), scaled[:, ::-1].astype(np.float32)


def _moments(raw: Rows, start: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of a batch: at each place how many cells are tissue and their sum, and of all the sum of the outer products."""
    features = _batch(raw, start)
    known = np.nan_to_num(features).astype(np.float64)
    flat = known.reshape(-1, _CHANNELS)
    return np.isfinite(features[..., :1]).sum(axis=0), known.sum(axis=0), flat.T @ flat


def _whitened(raw: Rows, mean: NDArray[np.float32], whitening: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """The cells of a batch, whitened and of unit length, or 0 where there is no tissue."""
    white = np.nan_to_num(_batch(raw, start) - mean) @ whitening
    return white / np.maximum(np.linalg.norm(white, axis=-1, keepdims=True), _TINY)


def _neighbours(coarse: NDArray[np.float32]) -> NDArray[np.int64]:
    """The pairs [k, 2] of places of which one is among the nearest neighbours of the other, in order."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  two seconds, for those alone who look for sweeps

    nearest = NearestNeighbors(n_neighbors=min(_CANDIDATES, len(coarse) - 1), algorithm="brute").fit(coarse)
    found = nearest.kneighbors(return_distance=False)
    places = np.repeat(np.arange(len(found)), found.shape[1])
    return np.unique(np.sort(np.stack([places, found.ravel()], axis=1), axis=1), axis=0)


def _likenesses(cells: Rows, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The likeness of each pair of places."""
    firsts, starts = np.unique(pairs[:, 0], return_index=True)
    others = np.split(pairs[:, 1], starts[1:])
    compared = zip(firsts.tolist(), others, strict=True)
    return np.concatenate(list(map_on_all_cores(partial(_likeness, cells), compared, "sweeps", len(firsts))))


def _likeness(cells: Rows, places: tuple[int, NDArray[np.int64]]) -> NDArray[np.float64]:
    """Of a frame and each of some others: the mean cosine of the cells that lie on one another, where it is shifted as
    it fits best; -1 where no shift brings enough tissue onto tissue."""
    place, others = places
    shape = (-1, _GRID, _GRID, _CHANNELS)
    one, *rest = (cells.read(number, number + 1).reshape(shape).astype(np.float32) for number in (place, *others))
    two = np.concatenate(rest)
    # Sums of products of whole numbers below 2^24: exact in float32, in whatever order they are added.
    sums = _shifted(one[0]) @ two.reshape(len(two), -1).T
    counts = _shifted(_filled(one[0])) @ _filled(two).reshape(len(two), -1).T
    enough = counts >= _OVERLAP * _CELLS
    means = np.divide(sums, counts, out=np.full(sums.shape, -np.inf), where=enough, dtype=np.float64)
    return np.where(enough.any(axis=0), means.max(axis=0) / _SCALE**2, -1.0)


def _filled(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which cells [..., _CHANNELS] are tissue, as 0 and 1 [..., 1]."""
    return np.asarray(cells.any(axis=-1, keepdims=True), np.float32)


def _shifted(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """A grid [_GRID, _GRID, channels] shifted in all ways, 0 where nothing comes in: a row each."""
    padded = np.pad(grid, ((_SHIFT_DOWN, _SHIFT_DOWN), (_SHIFT_ACROSS, _SHIFT_ACROSS), (0, 0)))
    windows = sliding_window_view(padded, (_GRID, _GRID), axis=(0, 1))
    return windows.transpose(0, 1, 3, 4, 2).reshape(-1, grid.size)


def _usual(pairs: NDArray[np.int64], likenesses: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """What is usual for each frame: its likeness with its neighbour of rank _USUAL, or with its last one; infinite for
    one without a neighbour.
    """
    places, values = pairs.T.ravel(), np.tile(likenesses, 2)
    order = np.lexsort((-values, places))
    starts = np.searchsorted(places[order], np.arange(frames + 1))
    usual, known = np.full(frames, np.inf), starts[1:] > starts[:-1]
    usual[known] = values[order][np.minimum(starts[:-1] + _USUAL, starts[1:])[known] - 1]
    return usual


def _closeness(
    pairs: NDArray[np.int64], likenesses: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By how much the likeness of each pair exceeds the mean of what is usual for its two frames."""
    return likenesses - usual[pairs].mean(axis=1)
