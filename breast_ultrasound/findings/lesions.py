"""Lesions of a mask: place, size and probability."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask


@dataclass(frozen=True)
class Lesion:
    """A connected part of a mask (8 neighbours), in pixels of the image, whose corner at the top left is (0, 0).

    A pixel covers a square of side one. The box begins at (`left`, `top`) and measures `box_width` by `box_height`; the
    centre is that of the area. `longest` is the longest diameter (Feret), between the two points that lie farthest
    apart, and `perpendicular` the extent at right angles to it. Lengths `_mm` and `area_mm2` are None if the size of a
    pixel is unknown. `mean_probability` and `peak_probability`, 0 to 1, are over the pixels of the lesion.
    """

    area: int
    left: int
    top: int
    box_width: int
    box_height: int
    centre_x: float
    centre_y: float
    longest: float
    perpendicular: float
    area_mm2: float | None
    longest_mm: float | None
    perpendicular_mm: float | None
    mean_probability: float
    peak_probability: float


def find_lesions(mask: Mask, probability: Grey, mm_per_pixel: tuple[float, float] | None = None) -> list[Lesion]:
    """Return the lesions of a mask, bool [height, width], the largest first; none of an empty mask.

    `probability` is uint8 of the same shape, in steps of 1/255, and `mm_per_pixel` the distance of two rows and that of
    two columns.

    >>> mask = np.zeros((10, 10), bool)
    >>> mask[2:5, 1:5] = True
    >>> [lesion] = find_lesions(mask, np.where(mask, np.uint8(204), np.uint8(0)), mm_per_pixel=(0.1, 0.1))
    >>> lesion.area, (lesion.left, lesion.top), lesion.longest, lesion.longest_mm, lesion.mean_probability
    (12, (1, 2), 5.0, 0.5, 0.8)
    >>> find_lesions(np.zeros((10, 10), bool), np.zeros((10, 10), np.uint8))
    []
    """
    parts, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    lesions = []
    for part in range(1, parts):
        left, top, width, height, area = (int(value) for value in stats[part])
        box = slice(top, top + height), slice(left, left + width)
        inside = np.asarray(labels[box] == part)
        levels = np.asarray(probability[box])[inside]
        longest, perpendicular = diameters(inside)
        longest_mm, perpendicular_mm = diameters(inside, mm_per_pixel) if mm_per_pixel else (None, None)
        lesions.append(
            Lesion(
                area=area,
                left=left,
                top=top,
                box_width=width,
                box_height=height,
                # OpenCV's centre is that of the pixels' indices, half a pixel up and left of that of their squares.
                centre_x=float(centres[part][0]) + 0.5,
                centre_y=float(centres[part][1]) + 0.5,
                longest=longest,
                perpendicular=perpendicular,
                area_mm2=area * mm_per_pixel[0] * mm_per_pixel[1] if mm_per_pixel else None,
                longest_mm=longest_mm,
                perpendicular_mm=perpendicular_mm,
                mean_probability=float(levels.mean()) / 255,
                peak_probability=int(levels.max()) / 255,
            )
        )
    return sorted(lesions, key=lambda lesion: (-lesion.area, lesion.top, lesion.left))


def diameters(mask: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float]:
    """Return the longest diameter of a mask, bool [height, width] and not empty, and the extent at right angles to it.

    Lengths are in units of `spacing`, the distance of two rows and that of two columns. Of several longest diameters
    the one with the largest extent counts, so that turning the mask changes nothing.
    """
    points = _corners(mask) * np.array(spacing[::-1])
    steps = points[:, None] - points[None]
    lengths = np.hypot(steps[..., 0], steps[..., 1])
    longest = lengths.max()
    extents = []
    for start, end in np.argwhere(np.triu(np.isclose(lengths, longest, rtol=1e-9, atol=0))):
        across = np.array([-1, 1]) * steps[start, end][::-1] / longest
        extents.append(np.ptp(points @ across))
    return float(longest), float(max(extents))


def _corners(mask: Mask) -> NDArray[np.float64]:
    """Return the corners [n, 2], as (x, y), of the smallest convex shape that holds all pixels of a mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    left, right = mask[rows].argmax(axis=1), mask.shape[1] - mask[rows][:, ::-1].argmax(axis=1)
    ends = [np.stack([side, rows + below], axis=1) for side in (left, right) for below in (0, 1)]
    return cv2.convexHull(np.concatenate(ends).astype(np.int32))[:, 0].astype(np.float64)
