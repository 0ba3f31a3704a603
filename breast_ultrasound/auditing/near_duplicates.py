"""Find near-duplicates: the same frame exported again, cropped, rescaled, with other gain, mirrored or annotated.

Two steps, so that few pairs of images are compared in full. Candidates: images that share enough hashes of their
upright SIFT descriptors (auditing/candidates.py), which takes time near linear in the number of images. Check: an
affine map is fitted to the matched keypoints by RANSAC, and the two images, aligned by it, are correlated block by
block; the median correlation is the similarity of the pair, so that marks burned into a few blocks don't count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.auditing.album import Album
from breast_ultrasound.auditing.candidates import Candidate
from breast_ultrasound.auditing.features import SIDE, Features, mirror
from breast_ultrasound.pipeline.arrays import Grey

_FEWEST_INLIERS = 8
_BLOCK = 32
# Maps and similarities are rounded, since processors differ in the last digits, and decisions must not.
_DECIMALS = 6


@dataclass(frozen=True)
class NearDuplicatePair:
    """Two images, by position, and their similarity, -1 to 1.

    `mirrored` where one is the mirror image; `same_view` where the map between them neither scales nor mirrors, as
    between frames of one sweep, but not between a frame and a crop of it.
    """

    first: int
    second: int
    similarity: float
    mirrored: bool
    same_view: bool


def align(first: Features, second: Features) -> NDArray[np.float64] | None:
    """Fit the affine map [2, 3] from points of `second` to points of `first`; None where too few points agree.

    Maps that rotate, shear or scale by more than an export does are refused as well.
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
    matrix = np.round(np.asarray(matrix, np.float64), _DECIMALS)
    scales, shears = matrix[[0, 1], [0, 1]], matrix[[0, 1], [1, 0]]
    is_export = (abs(shears) < 0.1).all() and ((scales > 0.5) & (scales < 2)).all()
    return matrix if is_export else None


def similarity(first: Grey, second: Grey, matrix: NDArray[np.float64]) -> float:
    """Return the median correlation over the blocks of the overlap of two thumbnails, `second` mapped onto `first`.

    It is -1 where less than a quarter of the image overlaps or the overlap has no texture.
    """
    moved = cv2.warpAffine(second, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    covered = cv2.warpAffine(np.full((SIDE, SIDE), 255, np.uint8), matrix, (SIDE, SIDE)) == 255
    one, two = _flatten(first), _flatten(np.asarray(moved, np.uint8))
    products = [_blocks(part) for part in (one * two, one * one, two * two)]
    inside = _blocks(covered.astype(np.float64)) == 1
    textured = inside & (products[1] > 1) & (products[2] > 1)
    if inside.mean() < 0.25 or textured.sum() < 0.5 * inside.sum():
        return -1.0
    correlations = products[0][textured] / np.sqrt(products[1][textured] * products[2][textured])
    return round(float(np.median(correlations)), _DECIMALS)


def _flatten(thumbnail: Grey) -> NDArray[np.float64]:
    """Return the detail alone: without the speckle of single pixels and the slow changes of gain."""
    smooth = cv2.GaussianBlur(thumbnail.astype(np.float64), (0, 0), 1.0)
    return np.asarray(smooth - cv2.GaussianBlur(smooth, (0, 0), 8.0), np.float64)


def _blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means over blocks of [SIDE, SIDE]."""
    per_side = SIDE // _BLOCK
    return values.reshape(per_side, _BLOCK, per_side, _BLOCK).mean(axis=(1, 3))


def verify(album: Album, candidate: Candidate) -> NearDuplicatePair | None:
    """Measure how similar the two images of a candidate are; None where no map fits."""
    first, second, mirrored = candidate
    features = album.features(second)
    matrix = align(album.features(first), mirror(features) if mirrored else features)
    if matrix is None:
        return None
    image = album.thumbnail(second)
    image = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
    same_view = not mirrored and bool((abs(np.diag(matrix[:, :2]) - 1) < 0.1).all())
    return NearDuplicatePair(first, second, similarity(album.thumbnail(first), image, matrix), mirrored, same_view)


def pair_equal_images(digests: Sequence[str]) -> list[NearDuplicatePair]:
    """Pair each image with the one before of equal pixels, given their digests; also images without any texture.

    >>> [(pair.first, pair.second) for pair in pair_equal_images(["a", "b", "a", "a"])]
    [(0, 2), (2, 3)]
    """
    last: dict[str, int] = {}
    pairs = []
    for position, digest in enumerate(digests):
        if digest in last:
            pairs.append(NearDuplicatePair(last[digest], position, 1.0, mirrored=False, same_view=True))
        last[digest] = position
    return pairs


def group_pairs(images: int, pairs: Iterable[NearDuplicatePair], weak: float, strong: float) -> NDArray[np.int64]:
    """Return the group of each image: connected components over pairs of at least `strong` similarity, and some weaker.

    A pair from `weak` on is taken for two frames of a sweep if it shows the same view. It joins two groups only where
    both are single images or a second pair joins them as well, so that one doubtful pair never chains strangers
    together. Groups are numbered in the order of their first image.

    >>> pairs = [NearDuplicatePair(0, 2, 0.98, mirrored=False, same_view=True)]
    >>> group_pairs(4, pairs, weak=0.25, strong=0.9).tolist()
    [0, 1, 0, 2]
    """
    groups = [{image} for image in range(images)]
    joining = [pair for pair in pairs if pair.similarity >= (weak if pair.same_view else strong)]
    joining.sort(key=lambda pair: -pair.similarity)
    partners: defaultdict[int, list[int]] = defaultdict(list)
    for pair in joining:
        partners[pair.first].append(pair.second)
        partners[pair.second].append(pair.first)
    for pair in joining:
        one, two = groups[pair.first], groups[pair.second]
        if one is two:
            continue
        if pair.similarity >= strong or len(one | two) == 2 or _pairs_between(one, two, partners) >= 2:
            one |= two
            for image in two:
                groups[image] = one
    first_members = [min(members) for members in groups]
    return np.unique(first_members, return_inverse=True)[1]


def _pairs_between(one: set[int], two: set[int], partners: Mapping[int, Sequence[int]]) -> int:
    """Count the pairs of an image of one group with an image of the other."""
    smaller, larger = sorted((one, two), key=len)
    return sum(partner in larger for image in smaller for partner in partners[image])
