"""Measure what can be wrong with an image or its mask."""

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Grey, Mask

# The flags of groups.csv, in the order of its columns.
FLAGS = (
    "conflict",
    "several_patients",
    "marks",
    "mask_empty_in_lesion_class",
    "mask_touches_border",
    "mask_many_parts",
    "low_contrast",
)

# The least evidence for which each flag is raised.
BURNED_PIXELS = 10
LOW_CONTRAST = 60


def burned_pixels(image: Grey) -> int:
    """Count the pixels of burned-in calipers or text in uint8 [height, width].

    Their strokes are bright, of one even grey, and thin: a top-hat of 7 pixels removes what is wider, and no 2×2 square
    of speckle is even, since its grains have peaks. Specks of fewer than six pixels don't count.
    """
    thin = cv2.morphologyEx(image, cv2.MORPH_TOPHAT, np.ones((7, 7), np.uint8))
    spread = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    strokes = (spread <= 5) & (thin >= 110) & (image >= 190)
    areas = cv2.connectedComponentsWithStats(strokes.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return int(areas[areas >= 6].sum())


def contrast(image: Grey) -> int:
    """Return the grey levels between the 5th and the 95th percentile of uint8 [height, width]."""
    low, high = np.percentile(image, (5, 95))
    return round(high - low)


def mask_parts(mask: Mask) -> int:
    """Count the connected parts of bool [height, width], diagonals included; 0 where it is empty."""
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


def border_pixels(mask: Mask) -> int:
    """Count the mask pixels of bool [height, width] on the edge of the image."""
    inner = mask[1:-1, 1:-1]
    return int(mask.sum()) - int(inner.sum())
