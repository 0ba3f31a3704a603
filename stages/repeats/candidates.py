"""Pairs of images that may repeat one another, found without comparing all pairs.

Descriptors are hashed by random hyperplanes (Charikar, STOC 2002), in several tables; images that share enough hashes
are candidates. What has to be sorted is sorted in parts, so that time is near linear in the number of images, and
memory hardly grows with it.
"""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.repeats.album import Album, Buckets, Rows
from stages.repeats.features import MIRRORED

_TABLES = 24
_COMPONENTS = 64
_SPARE_BITS = 8
# Each descriptor is compared with this many others of its hash, so that a hash shared by thousands stays cheap.
_NEIGHBOURS = 24
_FEWEST_VOTES = 4
_MOST_CANDIDATES = 12

# Descriptors hashed at a time, hashes sorted at a time, and images whose votes are counted at a time.
_CHUNK = 2**16
_HASHES = 2**19
_IMAGES = 2**10


def candidates(album: Album, seed: int, folder: Path) -> list[tuple[int, int, bool]]:
    """Pairs of positions that share enough hashes, each with whether the second is to be mirrored.

    What has to be sorted lies in files of `folder` meanwhile.
    """
    images, descriptors = len(album), album.descriptors
    if not len(descriptors):
        return []
    centre, whitening = _whitening(descriptors)
    bits = int(np.ceil(np.log2(2 * len(descriptors)))) + _SPARE_BITS
    rng = np.random.default_rng(seed)
    hashes = Buckets(folder, "hashes", 2, -(-2 * len(descriptors) // _HASHES))
    votes = Buckets(folder, "votes", 2, -(-images // _IMAGES))
    for _ in range(_TABLES):
        planes = whitening @ rng.standard_normal((whitening.shape[1], bits), dtype=np.float32)
        _add_hashes(hashes, album, 0, centre, planes)
        # The hashes of the mirrored descriptors, without making these.
        _add_hashes(hashes, album, images, centre[MIRRORED], planes[MIRRORED])
        for part in hashes.taken():
            found = _pairs_of_equal_codes(part[:, 0], part[:, 1], images)
            votes.add(np.stack(np.unique(found, return_counts=True), axis=1))
    return _most_voted(np.concatenate([_enough(part) for part in votes.taken()]), images)


def _add_hashes(
    hashes: Buckets, album: Album, first: int, centre: NDArray[np.float32], planes: NDArray[np.float32]
) -> None:
    """Add the hash of each descriptor, and the image that has it, counted from `first` on."""
    for start in range(0, len(album.descriptors), _CHUNK):
        codes = _hash(album.descriptors.read(start, start + _CHUNK), centre, planes)
        owners = first + album.owners(start + np.arange(len(codes)))
        hashes.add(np.stack([codes, owners], axis=1))


def _whitening(descriptors: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean [128], and the map [128, d] to the leading principal components at unit variance.

    Descriptors have much in common, and hashes of them as they are would be alike for most.
    """
    step = -(-len(descriptors) // 100_000)
    starts = range(0, len(descriptors), _CHUNK)
    sample = np.concatenate([descriptors.read(start, start + _CHUNK)[-start % step :: step] for start in starts])
    sample = sample.astype(np.float64)
    centre = sample.mean(axis=0)
    variances, components = np.linalg.eigh((sample - centre).T @ (sample - centre) / len(sample))
    leading = slice(-_COMPONENTS, None)
    scaled = components[:, leading] / np.sqrt(variances[leading] + 1.0)
    return centre.astype(np.float32), scaled.astype(np.float32)


def _hash(
    descriptors: NDArray[np.uint8], centre: NDArray[np.float32], planes: NDArray[np.float32]
) -> NDArray[np.int64]:
    return ((descriptors - centre) @ planes > 0) @ 2 ** np.arange(planes.shape[1], dtype=np.int64)


def _pairs_of_equal_codes(codes: NDArray[np.int64], owners: NDArray[np.int64], images: int) -> NDArray[np.int64]:
    """Pairs of different images with the same code, as first · 2·images + second; second may be a mirrored one."""
    order = np.argsort(codes, kind="stable")
    codes, owners = codes[order], owners[order]
    found = []
    for offset in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(codes[offset:] == codes[:-offset])
        one, two = owners[same], owners[same + offset]
        low, high = np.minimum(one, two), np.maximum(one, two)
        # Two mirrored ones say what their originals say; one of each counts once, the later image mirrored.
        original = (low < images) & (high % images != low)
        mirrored_first = original & (high >= images) & (high - images < low)
        low, high = np.where(mirrored_first, high - images, low), np.where(mirrored_first, low + images, high)
        found.append((low * 2 * images + high)[original])
    return np.concatenate(found)


def _enough(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sums [k, 2] of votes [n, 2], of pairs and counts, for the pairs that have enough."""
    keys, places = np.unique(votes[:, 0], return_inverse=True)
    sums = np.zeros_like(keys)
    np.add.at(sums, places, votes[:, 1])
    return np.stack([keys, sums], axis=1)[sums >= _FEWEST_VOTES]


def _most_voted(votes: NDArray[np.int64], images: int) -> list[tuple[int, int, bool]]:
    """The pairs with most votes, for each image at most the few best."""
    per_image: Counter[int] = Counter()
    chosen = []
    keys, counts = votes.T
    for key in keys[np.lexsort((keys, -counts))]:
        first, second = divmod(int(key), 2 * images)
        if min(per_image[first], per_image[second % images]) < _MOST_CANDIDATES:
            chosen.append((first, second % images, second >= images))
            per_image.update((first, second % images))
    return sorted(chosen)
