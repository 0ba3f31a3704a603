"""From the probabilities of pixels to a binary mask.

Lengths are shares of the square root of the image's area, and areas are shares of it, so that one choice of steps
serves every size of image.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Grey, Mask

# From this image-level probability on, an image is taken to hold a lesion, and the step `relative` applies.
SURE = 0.9


@dataclass(frozen=True)
class Steps:
    """The steps from a probability to a mask, in their order, each off by default; params.yaml explains each.

    The default cuts the probability at one half.
    """

    smooth: float = 0.0
    threshold: float = 0.5
    relative: float = 0.0
    peak: float = 0.0
    opening: float = 0.0
    closing: float = 0.0
    fill_holes: bool = False
    part_area: float = 0.0
    largest_only: bool = False
    evidence: float = 0.0
    image_probability: float = 0.0


def cut(probability: float) -> int:
    """Return the lowest level, 0 to 255, of a probability in steps of 1/255 that is at least `probability`."""
    # 255 times a two-digit number can lie a hair above the whole number that it is.
    return math.ceil(255 * probability - 1e-9)


def binary_mask(probability: Grey, steps: Steps, image_probability: float = 1.0) -> Mask:
    """Return the mask, bool [height, width], of a probability, uint8 [height, width] of 0 to 255.

    `image_probability`, 0 to 1, is that the image holds a lesion. The mask is empty where no pixel remains.

    >>> probability = np.array([[0, 90, 200], [0, 255, 255]], np.uint8)
    >>> binary_mask(probability, Steps(threshold=0.3)).astype(int)
    array([[0, 1, 1],
           [0, 1, 1]])
    >>> binary_mask(probability, Steps(image_probability=0.2), image_probability=0.1).any()
    np.False_
    """
    if image_probability < steps.image_probability:
        return np.zeros(probability.shape, bool)
    side = math.sqrt(probability.size)
    if steps.smooth:
        probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), max(steps.smooth * side, 0.1)), np.uint8)
    mask = probability >= _level(probability, steps, image_probability)
    if not mask.any():
        return mask
    for operation, radius in ((cv2.MORPH_OPEN, steps.opening), (cv2.MORPH_CLOSE, steps.closing)):
        mask = _morphology(mask, operation, round(radius * side))
    if steps.fill_holes:
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        mask = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
    if steps.peak or steps.part_area or steps.largest_only:
        mask = _keep_parts(mask, probability, steps)
    if mask.any() and probability[mask].mean() < 255 * steps.evidence:
        return np.zeros_like(mask)
    return mask


def _level(probability: Grey, steps: Steps, image_probability: float) -> int:
    """Return the lowest level that is lesion; in an image that is taken to hold one it may lie below the threshold."""
    level = cut(steps.threshold)
    if not steps.relative or image_probability < SURE:
        return level
    return min(level, max(1, cut(steps.relative * int(probability.max()) / 255)))


def _morphology(mask: Mask, operation: int, radius: int) -> Mask:
    if not radius:
        return mask
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # Padded, since a closing would otherwise join a part near the edge of the image to the edge.
    padded = np.pad(mask.astype(np.uint8), radius)
    return cv2.morphologyEx(padded, operation, disk)[radius:-radius, radius:-radius] > 0


def _keep_parts(mask: Mask, probability: Grey, steps: Steps) -> Mask:
    """Return the parts of a mask that are large and probable enough, or the largest of these alone."""
    parts, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    labels, areas = np.asarray(labels, np.int64), stats[:, cv2.CC_STAT_AREA]
    peaks = np.zeros(parts, np.uint8)
    np.maximum.at(peaks, labels.ravel(), probability.ravel())
    keep = (areas >= steps.part_area * mask.size) & (peaks >= cut(steps.peak))
    keep[0] = False
    if steps.largest_only and keep.any():
        keep &= np.arange(parts) == np.argmax(np.where(keep, areas, 0))
    return keep[labels]
