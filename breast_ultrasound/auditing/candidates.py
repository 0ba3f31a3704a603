"""Find pairs of images that may be near-duplicates, without comparing all pairs.

Descriptors are hashed by random hyperplanes (Charikar, STOC 2002), in several tables; images that share enough hashes
are candidates. What has to be sorted is sorted in parts, so that time is near linear in the number of images, and
memory hardly grows with it.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from breast_ultrasound.auditing.album import Album, Buckets, Rows
from breast_ultrasound.auditing.features import DESCRIPTOR, MIRRORED
from breast_ultrasound.pipeline.engine import map_on_all_cores

_TABLES = 24
_COMPONENTS = 64
_SPARE_BITS = 8
# The length of a plane's normal, in whole numbers. A descriptor is 512 long, so that their product is below 2^24: exact
# in float32, in whatever order a processor adds it.
_NORMAL = 2**14
# Each descriptor is compared with this many others of its hash, so that a hash shared by thousands stays cheap.
_NEIGHBOURS = 24
# How many hashes a pair must share, and how many candidates an image has at most.
_FEWEST_VOTES = 4
_MOST_CANDIDATES = 12

# Descriptors hashed at a time, hashes sorted at a time, and images whose votes are counted at a time.
_CHUNK = 2**14
_HASHES = 2**18
_IMAGES = 2**10


class Candidate(NamedTuple):
    """Two images, by position, that may be near-duplicates once the second is mirrored, or as they are."""

    first: int
    second: int
    mirrored: bool


def find_candidates(album: Album, seed: int, folder: Path) -> list[Candidate]:
    """Return the pairs of images that share enough hashes, in order; none where no image has descriptors.

    What has to be sorted is in files of `folder` meanwhile.
    """
    if not len(album.descriptors):
        return []
    # One thread a core computes; more of the libraries' own would wait for one another.
    with threadpool_limits(1, "blas"):
        return _most_voted(_votes(album, seed, folder), len(album))


def _votes(album: Album, seed: int, folder: Path) -> NDArray[np.int64]:
    """Return the pairs that share enough hashes, coded as in `_pairs_of_equal_codes`, and how many each, [k, 2]."""
    images, descriptors = len(album), album.descriptors
    centre, whitening = _whitening(descriptors)
    bits = int(np.ceil(np.log2(2 * len(descriptors)))) + _SPARE_BITS
    rng = np.random.default_rng(seed)
    hashes = Buckets(folder, "hashes", 2, -(-2 * len(descriptors) // _HASHES))
    votes = Buckets(folder, "votes", 2, -(-images // _IMAGES))
    for _ in range(_TABLES):
        planes = _whole_numbers(whitening @ rng.standard_normal((DESCRIPTOR, bits)))
        for hashed in map_on_all_cores(partial(_hashes, album, np.rint(centre @ planes), planes), _chunks(descriptors)):
            hashes.add(hashed)
        for shared in map_on_all_cores(partial(_shared, images, len(hashes)), hashes.take()):
            votes.add(shared)
    return np.concatenate([_enough(part) for part in votes.take()])


def _chunks(descriptors: Rows) -> range:
    """Return where each chunk of the descriptors starts."""
    return range(0, len(descriptors), _CHUNK)


def _whole_numbers(planes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the normals of planes [128, bits] as whole numbers of the length _NORMAL."""
    return np.rint(_NORMAL * planes / np.linalg.norm(planes, axis=0)).astype(np.float32)


def _hashes(album: Album, offsets: NDArray[np.float64], planes: NDArray[np.float32], start: int) -> NDArray[np.int64]:
    """Hash each descriptor of a chunk, as it is and mirrored: its hash and the image it belongs to, [2·k, 2]."""
    descriptors = album.descriptors.read(start, start + _CHUNK).astype(np.float32)
    owners = album.owners(start + np.arange(len(descriptors)))
    # The hashes of the mirrored descriptors, without making these.
    sides = (descriptors @ planes > offsets, descriptors @ planes[MIRRORED] > offsets)
    codes = [_bits(side) for side in sides]
    return np.stack([np.concatenate(codes), np.concatenate([owners, len(album) + owners])], axis=1)


def _whitening(descriptors: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean [128], and the map [128, 128] that leaves the leading principal components, at unit variance.

    Descriptors have much in common: without whitening most would have similar hashes. The map leads back to the 128
    numbers of a descriptor, so that the signs of the components, which an algorithm is free to choose, cancel out.
    """
    step = -(-len(descriptors) // 100_000)
    # A slice alone would keep all that it was taken from.
    parts = [descriptors.read(start, start + _CHUNK)[-start % step :: step].copy() for start in _chunks(descriptors)]
    sample = np.concatenate(parts)
    sample = sample.astype(np.float64)
    centre = sample.mean(axis=0)
    variances, components = np.linalg.eigh((sample - centre).T @ (sample - centre) / len(sample))
    leading = slice(-_COMPONENTS, None)
    scaled = components[:, leading] / np.sqrt(variances[leading] + 1.0)
    return centre, scaled @ components[:, leading].T


def _bits(sides: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return each row [k, bits] as a number, its lowest bit first; at most 63 bits."""
    packed = np.packbits(sides, axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, 8 - packed.shape[1]))).view("<i8").ravel()


def _shared(images: int, parts: int, hashed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs of images that share a hash in one part of the hashes, and how many they share, [k, 2]."""
    # One number for both is sorted several times as fast. Hashes of a part differ by `parts` at the least, and so fit.
    ordered = np.sort(hashed[:, 0] // parts * (2 * images) + hashed[:, 1])
    pairs = _pairs_of_equal_codes(*np.divmod(ordered, 2 * images), images)
    return np.stack(np.unique(pairs, return_counts=True), axis=1)


def _pairs_of_equal_codes(codes: NDArray[np.int64], owners: NDArray[np.int64], images: int) -> NDArray[np.int64]:
    """Return pairs of different images with the same code, as first · 2·images + second; second may be a mirrored one.

    `codes` are sorted.
    """
    pairs, same = [], np.arange(len(codes))
    for offset in range(1, _NEIGHBOURS + 1):
        same = same[: np.searchsorted(same, len(codes) - offset)]
        same = same[codes[same + offset] == codes[same]]
        one, two = owners[same], owners[same + offset]
        low, high = np.minimum(one, two), np.maximum(one, two)
        # Two mirrored images are counted by their originals; one of each counts once, the later image mirrored.
        original = (low < images) & (high % images != low)
        mirrored_first = original & (high >= images) & (high - images < low)
        low, high = np.where(mirrored_first, high - images, low), np.where(mirrored_first, low + images, high)
        pairs.append((low * 2 * images + high)[original])
    return np.concatenate(pairs)


def _enough(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum the counts of each pair in votes [n, 2], pair and count, and return those with enough of them, [k, 2]."""
    keys, places = np.unique(votes[:, 0], return_inverse=True)
    sums = np.zeros_like(keys)
    np.add.at(sums, places, votes[:, 1])
    return np.stack([keys, sums], axis=1)[sums >= _FEWEST_VOTES]


def _most_voted(votes: NDArray[np.int64], images: int) -> list[Candidate]:
    """Return the pairs with most votes, for each image at most the few best."""
    per_image = np.zeros(images, np.int64)
    chosen = []
    keys, counts = votes.T
    for key in keys[np.lexsort((keys, -counts))]:
        first, second = divmod(int(key), 2 * images)
        if min(per_image[first], per_image[second % images]) < _MOST_CANDIDATES:
            chosen.append(Candidate(first, second % images, second >= images))
            per_image[[first, second % images]] += 1
    return sorted(chosen)
