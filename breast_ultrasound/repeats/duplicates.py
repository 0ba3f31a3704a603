"""Find repeated frames: the same scan exported again, cropped, rescaled, with other gain, mirrored or annotated.

Two steps, so that no pair of images is compared in full without a reason. Candidates: images that share enough hashes
of their upright SIFT descriptors (repeats/candidates.py), which takes time near linear in the number of images.
Check: an affine map is fitted to the matched keypoints by RANSAC, and the two images, aligned by it, are correlated
block by block; the median correlation is the similarity of the pair, so that marks burned into a few blocks don't
count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.repeats.album import Album
from breast_ultrasound.repeats.features import SIDE, Features, mirror

_FEWEST_INLIERS = 8
_BLOCK = 32


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


def verify(album: Album, candidate: tuple[int, int, bool]) -> Pair | None:
    """Check a candidate; nothing where no map fits."""
    first, second, mirrored = candidate
    described = album.features(second)
    matrix = align(album.features(first), mirror(described) if mirrored else described)
    if matrix is None:
        return None
    image = album.square(second)
    image = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
    same_view = not mirrored and bool((abs(np.diag(matrix[:, :2]) - 1) < 0.1).all())
    return Pair(first, second, similarity(album.square(first), image, matrix), mirrored, same_view)


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
    partners: defaultdict[int, list[int]] = defaultdict(list)
    for link in links:
        partners[link.first].append(link.second)
        partners[link.second].append(link.first)
    for link in links:
        one, two = groups[link.first], groups[link.second]
        if one is two:
            continue
        if link.similarity >= strong or len(one | two) == 2 or _links_between(one, two, partners) >= 2:
            one |= two
            for image in two:
                groups[image] = one
    first_members = [min(members) for members in groups]
    return np.unique(first_members, return_inverse=True)[1]


def _links_between(one: set[int], two: set[int], partners: Mapping[int, Sequence[int]]) -> int:
    smaller, larger = sorted((one, two), key=len)
    return sum(partner in larger for image in smaller for partner in partners[image])
