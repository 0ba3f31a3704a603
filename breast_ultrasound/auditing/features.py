"""Describe an image for comparison: a thumbnail, and keypoints with SIFT descriptors (Lowe, IJCV 60, 2004)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey

SIDE = 256
DESCRIPTOR = 128
# What is finer survives no export, and SIFT, which doubles the image first, would take most of its time for it.
_KEYPOINT_SIDE = SIDE // 2
_KEYPOINTS = 200

# A descriptor is 4 rows × 4 columns × 8 directions; mirroring reverses columns and turns direction a into π - a. Taking
# the bins in this order does so; doing it twice changes nothing.
MIRRORED = np.arange(DESCRIPTOR).reshape(4, 4, 8)[:, ::-1, (4 - np.arange(8)) % 8].ravel()


@dataclass(frozen=True)
class Features:
    """Keypoints of an image stretched to a square of SIDE pixels.

    `points` float32 [k, 2] are x and y in pixels, `descriptors` uint8 [k, 128]; k may be 0.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def make_thumbnail(image: Grey) -> Grey:
    """Stretch uint8 [height, width] to [SIDE, SIDE], which undoes any change of aspect ratio."""
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def describe(thumbnail: Grey) -> Features:
    """Find the strongest keypoints of a thumbnail at half its side, all upright, since frames are never rotated."""
    small = np.asarray(cv2.resize(thumbnail, (_KEYPOINT_SIDE, _KEYPOINT_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=0.02)
    detected = sift.detect(small, None)
    # A place with several directions comes several times; upright, once is enough.
    upright = {(point.pt, point.size): point for point in detected}
    for point in upright.values():
        point.angle = 0
    keypoints, descriptors = sift.compute(small, list(upright.values()))
    if not keypoints:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, DESCRIPTOR), np.uint8))
    # SIFT's own places are a quarter of a pixel too far right and low, which is what the larger pixels take away again.
    points = SIDE / _KEYPOINT_SIDE * np.array([point.pt for point in keypoints])
    return Features(points.astype(np.float32), descriptors.astype(np.uint8))


def mirror(features: Features) -> Features:
    """Return the features that the mirror image would have, without detecting them again."""
    points = features.points.copy()
    points[:, 0] = SIDE - 1 - points[:, 0]
    return Features(points, features.descriptors[:, MIRRORED])
