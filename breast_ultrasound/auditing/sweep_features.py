"""Describe frames for the search for sweeps.

A frame is a grid of cells, each a vector of features that an encoder learned on ImageNet gives, less the mean of its
place and whitened over all frames (Jégou and Chum, ECCV 2012); cells without tissue are left out.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.auditing.album import Album, Rows
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores

# The features of the encoder: a grid of cells, each of as many channels.
GRID = 16
CELLS = GRID * GRID
CHANNELS = 112
# The length of a cell's whitened vector, kept in whole numbers.
SCALE = 127
# A pixel above this grey value is tissue, else the black around a sector or below what the beam reached.
_BLACK = 8
# A share of the mean variance is added to all of them, so that whitening does not blow up what hardly varies.
_SHRINKAGE = 0.1
_TINY = 1e-9

# Candidates are found by this many cells a side, of this many leading components.
_COARSE_GRID = 4
_COARSE_COMPONENTS = 32

# Images that are encoded at a time: more take no less time, but memory. And those that are whitened at a time.
_ENCODED = 8
_BATCH = 32

# Turns thumbnails uint8 [n, side, side] into features float32 [n, GRID, GRID, CHANNELS].
Encode: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def describe_frames(
    album: Album, positions: Sequence[int], encode: Encode, folder: Path
) -> tuple[Rows, NDArray[np.float32]]:
    """Describe frames given by the position of an image of each, in files of `folder`, about 90 KB an image.

    Returns the whitened cells of each frame, int8 [CELLS, CHANNELS] of length SCALE, or 0 without tissue, and its
    coarse features, float32 [n, d] of unit length, or 0.
    """
    raw = _encode_all(album, positions, encode, folder)
    cells = Rows(folder / "cells", np.int8, CELLS * CHANNELS)
    coarse = np.empty((len(raw), _COARSE_GRID**2 * _COARSE_COMPONENTS), np.float32)
    whiten = partial(_whiten, raw, *_fit_whitening(raw))
    for white in map_on_all_cores(whiten, range(0, len(raw), _BATCH)):
        coarse[len(cells) : len(cells) + len(white)] = _pool(white)
        cells.add(np.rint(SCALE * white))
    raw.clear()
    return cells, coarse


def _encode_all(album: Album, positions: Sequence[int], encode: Encode, folder: Path) -> Rows:
    """Return the features of each frame, float16 [CELLS, CHANNELS], NaN where there is no tissue."""
    raw = Rows(folder / "features", np.float16, CELLS * CHANNELS)
    batches = [positions[start : start + _ENCODED] for start in range(0, len(positions), _ENCODED)]
    for features in map_on_all_cores(partial(_encode_batch, album, encode), batches, "encode"):
        raw.add(features)
    return raw


def _encode_batch(album: Album, encode: Encode, positions: Sequence[int]) -> NDArray[np.float16]:
    """Return the features [k, CELLS, CHANNELS] of a few frames."""
    thumbnails = np.stack([album.thumbnail(position) for position in positions])
    cells = encode(thumbnails).reshape(-1, CELLS, CHANNELS)
    return np.where(_is_tissue(thumbnails)[..., None], cells, np.nan).astype(np.float16)


def _is_tissue(thumbnails: Grey) -> NDArray[np.bool_]:
    """Return which cells [n, CELLS] of thumbnails [n, side, side] are tissue for the most part."""
    return _blocks((thumbnails > _BLACK)[..., None], GRID)[..., 0] > 0.5


def _pool(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coarse features of cells [n, CELLS, CHANNELS]: vectors of unit length, or 0 without tissue."""
    leading = white[..., :_COARSE_COMPONENTS].reshape(-1, GRID, GRID, _COARSE_COMPONENTS)
    pooled = _blocks(leading, _COARSE_GRID).reshape(len(white), -1)
    return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), _TINY)


def _blocks(values: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return the means of [n, side, side, channels] over count × count blocks, as float64 [n, count², channels]."""
    n, side, _, channels = values.shape
    blocks = values.reshape(n, count, side // count, count, side // count, channels)
    return blocks.mean(axis=(2, 4), dtype=np.float64).reshape(n, count * count, channels)


def _read_batch(raw: Rows, start: int) -> NDArray[np.float64]:
    """Return the features [k, CELLS, CHANNELS] of a few images from `start` on.

    They are float64 from here until they are rounded, so that no processor rounds another way.
    """
    return raw.read(start, start + _BATCH).astype(np.float64).reshape(-1, CELLS, CHANNELS)


def _fit_whitening(raw: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the mean of each place [CELLS, CHANNELS], and the map [CHANNELS, CHANNELS] to components of unit variance,
    the leading one first.
    """
    counts, sums = np.zeros((CELLS, 1)), np.zeros((CELLS, CHANNELS))
    products = np.zeros((CHANNELS, CHANNELS))
    for count, total, product in map_on_all_cores(partial(_moments, raw), range(0, len(raw), _BATCH)):
        counts += count
        sums += total
        products += product
    mean = sums / np.maximum(counts, 1)
    covariance = (products - sums.T @ mean) / max(counts.sum(), 1)
    variances, components = np.linalg.eigh(covariance)
    scaled = components / np.sqrt(np.maximum(variances, 0) + _SHRINKAGE * variances.mean() + _TINY)
    return mean, scaled[:, ::-1]


def _moments(raw: Rows, start: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum up a batch: at each place how many cells are tissue and their sum; over all the sum of outer products."""
    features = _read_batch(raw, start)
    tissue = np.nan_to_num(features)
    flat = tissue.reshape(-1, CHANNELS)
    return np.isfinite(features[..., :1]).sum(axis=0), tissue.sum(axis=0), flat.T @ flat


def _whiten(raw: Rows, mean: NDArray[np.float64], whitening: NDArray[np.float64], start: int) -> NDArray[np.float64]:
    """Return the cells of a batch, whitened and of unit length, or 0 where there is no tissue."""
    white = np.nan_to_num(_read_batch(raw, start) - mean) @ whitening
    return white / np.maximum(np.linalg.norm(white, axis=-1, keepdims=True), _TINY)
