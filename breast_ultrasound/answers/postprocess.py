"""From probabilities to a binary mask.

Lengths are shares of the square root of the image's area and areas shares of it, so that one choice serves every size.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Grey, Mask

# The chance of a lesion from which on there is sure to be one.
SURE = 0.9


@dataclass(frozen=True)
class Steps:
    """The steps from a probability to a mask, in their order, each off by default; params.yaml explains each.

    The default is the network's bare answer: more likely lesion than not.
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
    chance: float = 0.0


def cut(probability: float) -> int:
    """The lowest level, of probabilities in steps of 1/255, that is at least `probability`."""
    # 255 times a two-digit number can lie a hair above the whole number that it is.
    return math.ceil(255 * probability - 1e-9)


def binary_mask(probability: Grey, steps: Steps, chance: float = 1.0) -> Mask:
    """The mask, bool [height, width], of a probability uint8 [height, width], 0 to 255.

    `chance` is that of the image to hold a lesion, 0 to 1.
    """
    if chance < steps.chance:
        return np.zeros(probability.shape, bool)
    side = math.sqrt(probability.size)
    if steps.smooth:
        probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), max(steps.smooth * side, 0.1)), np.uint8)
    mask = probability >= _level(probability, steps, chance)
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


def _level(probability: Grey, steps: Steps, chance: float) -> int:
    """The lowest level that is lesion: where there is sure to be one, it need not reach the threshold."""
    level = cut(steps.threshold)
    if not steps.relative or chance < SURE:
        return level
    return min(level, max(1, cut(steps.relative * int(probability.max()) / 255)))


def _morphology(mask: Mask, operation: int, radius: int) -> Mask:
    if not radius:
        return mask
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # Padded, or a closing would reach for the edge of the image.
    padded = np.pad(mask.astype(np.uint8), radius)
    return cv2.morphologyEx(padded, operation, disk)[radius:-radius, radius:-radius] > 0


def _keep_parts(mask: Mask, probability: Grey, steps: Steps) -> Mask:
    """The parts that are large and certain enough, or the largest of them alone."""
    parts, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    labels, areas = np.asarray(found, np.int64), stats[:, cv2.CC_STAT_AREA]
    peaks = np.zeros(parts, np.uint8)
    np.maximum.at(peaks, labels.ravel(), probability.ravel())
    keep = (areas >= steps.part_area * mask.size) & (peaks >= cut(steps.peak))
    keep[0] = False
    if steps.largest_only and keep.any():
        keep &= np.arange(parts) == np.argmax(np.where(keep, areas, 0))
    return keep[labels]
