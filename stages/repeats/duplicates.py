"""Find repeated frames: the same scan exported again, cropped, rescaled, with other gain, mirrored or annotated.

Two steps, so that no pair of images is compared in full without a reason. Candidates: each image is described by
upright SIFT descriptors (Lowe, IJCV 60, 2004), hashed by random hyperplanes (Charikar, STOC 2002); images that share
enough hashes are candidates, which takes time and memory near linear in the number of images. Check: an affine map is
fitted to the matched keypoints by RANSAC, and the two images, aligned by it, are correlated block by block; the median
correlation is the similarity of the pair, so that marks burned into a few blocks don't count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.pipeline.arrays import Grey

SIDE = 256
_KEYPOINTS = 200
_TABLES = 24
_COMPONENTS = 64
_SPARE_BITS = 8
# Each descriptor is compared with this many others of its hash, so that a hash shared by thousands stays cheap.
_NEIGHBOURS = 24
_FEWEST_VOTES = 4
_MOST_CANDIDATES = 12
_FEWEST_INLIERS = 8
_BLOCK = 32

# A descriptor is 4 rows × 4 columns × 8 directions; mirroring reverses columns and turns direction a into π - a. Taking
# the bins in this order does so; doing it twice changes nothing.
_MIRRORED = np.arange(128).reshape(4, 4, 8)[:, ::-1, (4 - np.arange(8)) % 8].ravel()


@dataclass(frozen=True)
class Features:
    """Keypoints of an image stretched to a square of SIDE pixels.

    `points` float32 [k, 2] are x and y in pixels, `descriptors` uint8 [k, 128]; k may be 0.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Two images, by position, and their similarity, -1 to 1.

    `mirrored` where one is the mirror image; `same_view` where the map between them neither scales nor mirrors, as
    between frames of one sweep, but not between a frame and a crop of it.
    """

    first: int
    second: int
    similarity: float
    mirrored: bool
    same_view: bool


def thumbnail(image: Grey) -> Grey:
    """Stretch uint8 [height, width] to [SIDE, SIDE], which undoes any change of aspect ratio."""
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def describe(square: Grey) -> Features:
    """The strongest keypoints of a thumbnail, all upright, since frames are never rotated."""
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=0.02)
    found = sift.detect(square, None)
    # A place with several directions comes several times; upright, once is enough.
    upright = {(point.pt, point.size): point for point in found}
    for point in upright.values():
        point.angle = 0
    keypoints, descriptors = sift.compute(square, list(upright.values()))
    if not keypoints:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    return Features(np.array([point.pt for point in keypoints], np.float32), descriptors.astype(np.uint8))


def mirror(features: Features) -> Features:
    """The features that the mirror image would have, without detecting them again."""
    points = features.points.copy()
    points[:, 0] = SIDE - 1 - points[:, 0]
    return Features(points, features.descriptors[:, _MIRRORED])


def candidates(features: Sequence[Features], seed: int) -> list[tuple[int, int, bool]]:
    """Pairs of positions that share enough hashes, each with whether the second is to be mirrored."""
    images = len(features)
    owners = np.repeat(np.arange(images), [len(one.points) for one in features])
    if not len(owners):
        return []
    descriptors = np.concatenate([one.descriptors for one in features])
    centre, whitening = _whitening(descriptors)
    bits = int(np.ceil(np.log2(2 * len(owners)))) + _SPARE_BITS
    rng = np.random.default_rng(seed)
    votes: Counter[int] = Counter()
    owner_both = np.concatenate([owners, owners + images])
    for _ in range(_TABLES):
        planes = whitening @ rng.standard_normal((whitening.shape[1], bits), dtype=np.float32)
        # The hashes of the mirrored descriptors, without making these.
        mirrored = _hash(descriptors, centre[_MIRRORED], planes[_MIRRORED])
        codes = np.concatenate([_hash(descriptors, centre, planes), mirrored])
        keys, counts = np.unique(_pairs_of_equal_codes(codes, owner_both, images), return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            votes[key] += count
    return _most_voted(votes, images)


def _whitening(descriptors: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean [128], and the map [128, d] to the leading principal components at unit variance.

    Descriptors have much in common, and hashes of them as they are would be alike for most.
    """
    step = -(-len(descriptors) // 100_000)
    sample = descriptors[::step].astype(np.float64)
    centre = sample.mean(axis=0)
    variances, components = np.linalg.eigh((sample - centre).T @ (sample - centre) / len(sample))
    leading = slice(-_COMPONENTS, None)
    scaled = components[:, leading] / np.sqrt(variances[leading] + 1.0)
    return centre.astype(np.float32), scaled.astype(np.float32)


def _hash(
    descriptors: NDArray[np.uint8], centre: NDArray[np.float32], planes: NDArray[np.float32]
) -> NDArray[np.int64]:
    weights = 2 ** np.arange(planes.shape[1], dtype=np.int64)
    chunk = 2**16
    parts = [
        ((descriptors[start : start + chunk] - centre) @ planes > 0) @ weights
        for start in range(0, len(descriptors), chunk)
    ]
    return np.concatenate(parts)


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


def _most_voted(votes: Counter[int], images: int) -> list[tuple[int, int, bool]]:
    """The pairs with enough votes, for each image at most the few best."""
    per_image: Counter[int] = Counter()
    chosen = []
    for key, count in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if count < _FEWEST_VOTES:
            break
        first, second = divmod(key, 2 * images)
        if min(per_image[first], per_image[second % images]) < _MOST_CANDIDATES:
            chosen.append((first, second % images, second >= images))
            per_image.update((first, second % images))
    return sorted(chosen)


def align(first: Features, second: Features) -> NDArray[np.float64] | None:
    """The affine map [2, 3] from points of `second` to points of `first`, or nothing where too few points agree.

    Maps that rotate, shear or scale by more than an export does are refused.
    """
    if min(len(first.points), len(second.points)) < _FEWEST_INLIERS:
        return None
    matches = cv2.BFMatcher(cv2.NORM_L2).knnMatch(
        second.descriptors.astype(np.float32), first.descriptors.astype(np.float32), k=2
    )
    good = [nearest for nearest, other in matches if nearest.distance < 0.85 * other.distance]
    if len(good) < _FEWEST_INLIERS:
        return None
    source = second.points[[match.queryIdx for match in good]]
    target = first.points[[match.trainIdx for match in good]]
    matrix, inliers = cv2.estimateAffine2D(source, target, ransacReprojThreshold=3, maxIters=1000)
    if matrix is None or inliers.sum() < _FEWEST_INLIERS:
        return None
    scales, shears = matrix[[0, 1], [0, 1]], matrix[[0, 1], [1, 0]]
    is_export = (abs(shears) < 0.1).all() and ((scales > 0.5) & (scales < 2)).all()
    return np.asarray(matrix, np.float64) if is_export else None


def similarity(first: Grey, second: Grey, matrix: NDArray[np.float64]) -> float:
    """Median correlation over the blocks of the overlap of two thumbnails, `second` mapped onto `first`.

    -1 where less than a quarter of the image overlaps or the overlap has no texture.
    """
    moved = cv2.warpAffine(second, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    covered = cv2.warpAffine(np.full((SIDE, SIDE), 255, np.uint8), matrix, (SIDE, SIDE)) == 255
    one, two = _flatten(first), _flatten(np.asarray(moved, np.uint8))
    products = [_blocks(part) for part in (one * two, one * one, two * two)]
    inside = _blocks(covered.astype(np.float32)) == 1
    textured = inside & (products[1] > 1) & (products[2] > 1)
    if inside.mean() < 0.25 or textured.sum() < 0.5 * inside.sum():
        return -1.0
    return float(np.median(products[0][textured] / np.sqrt(products[1][textured] * products[2][textured])))


def _flatten(square: Grey) -> NDArray[np.float32]:
    """Detail alone: the speckle of single pixels and the slow changes of gain removed."""
    smooth = cv2.GaussianBlur(square.astype(np.float32), (0, 0), 1.0)
    return np.asarray(smooth - cv2.GaussianBlur(smooth, (0, 0), 8.0), np.float32)


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over blocks of [SIDE, SIDE]."""
    per_side = SIDE // _BLOCK
    return values.reshape(per_side, _BLOCK, per_side, _BLOCK).mean(axis=(1, 3))


def verify(
    squares: NDArray[np.uint8],
    features: Sequence[Features] | Mapping[int, Features],
    candidate: tuple[int, int, bool],
) -> Pair | None:
    """Check a candidate among thumbnails [n, SIDE, SIDE]; nothing where no map fits."""
    first, second, mirrored = candidate
    described = mirror(features[second]) if mirrored else features[second]
    matrix = align(features[first], described)
    if matrix is None:
        return None
    image = np.ascontiguousarray(squares[second][:, ::-1]) if mirrored else squares[second]
    same_view = not mirrored and bool((abs(np.diag(matrix[:, :2]) - 1) < 0.1).all())
    return Pair(first, second, similarity(squares[first], image, matrix), mirrored, same_view)


def exact(digests: Sequence[str]) -> list[Pair]:
    """The pairs that link images of equal pixels, also those without any texture, each to the one before."""
    last: dict[str, int] = {}
    pairs = []
    for position, digest in enumerate(digests):
        if digest in last:
            pairs.append(Pair(last[digest], position, 1.0, mirrored=False, same_view=True))
        last[digest] = position
    return pairs


def group(images: int, pairs: Iterable[Pair], weak: float, strong: float) -> NDArray[np.int64]:
    """The group of each image: connected components over the pairs of at least `strong` similarity, and some weaker.

    A pair from `weak` on is taken for two frames of a sweep if it shows the same view. It joins two groups only where
    both are single images or a second pair joins them as well, so that one doubtful pair never chains strangers
    together. Groups are numbered in the order of their first image.
    """
    groups = [{image} for image in range(images)]
    links = [pair for pair in pairs if pair.similarity >= (weak if pair.same_view else strong)]
    links.sort(key=lambda pair: -pair.similarity)
    for link in links:
        one, two = groups[link.first], groups[link.second]
        if one is two:
            continue
        if link.similarity >= strong or len(one | two) == 2 or _links_between(one, two, links) >= 2:
            one |= two
            for image in two:
                groups[image] = one
    first_members = [min(members) for members in groups]
    return np.unique(first_members, return_inverse=True)[1]


def _links_between(one: set[int], two: set[int], links: Sequence[Pair]) -> int:
    both = one | two
    return sum(
        link.first in both and link.second in both and (link.first in one) != (link.second in one) for link in links
    )
