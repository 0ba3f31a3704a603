"""Where a DICOM frame shows tissue, of which size, and how fast its frames follow each other.

All of this is optional. What is empty, short, missing or no number counts as absent.
"""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from breast_ultrasound.scans.scan import Region

NUMBERS = ["SequenceOfUltrasoundRegions", "PixelSpacing", "FrameTime", "CineRate"]

# PS3.3 C.8.5.5.1: spatial format and data type of a region, and unit of its pixels.
_TWO_DIMENSIONS = 1
_TISSUE = 1
_CENTIMETRES = 3

# No scanner gives tissue less than this share of the rows or columns of its screen.
_LEAST_SHARE = 0.1


@dataclass(frozen=True)
class TissueRegion:
    """The part of a frame that is segmented, its distances of rows and of columns, and a note on what it leaves out."""

    place: Region
    mm_per_pixel: tuple[float, float] | None
    note: str = ""


def numbers(data: Dataset, key: str) -> tuple[float, ...]:
    """Return the values of an optional element that holds numbers; none where it is absent, empty or holds others."""
    try:
        value = data.get(key)
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        return tuple(float(each) for each in values)
    except (TypeError, ValueError, OverflowError):
        return ()


def find_region(data: Dataset) -> TissueRegion:
    """Return the largest region that shows tissue, all of the frame where there is none.

    Regions that reach beyond the frame are those of an image of another size, which was cut or scaled since: neither
    they nor their millimetres are believed. Nor is a region that is too small to show a breast.
    """
    rows, columns = int(data.Rows), int(data.Columns)
    whole = Region(0, 0, rows, columns)
    tissue = [(corners, item) for item in _items(data) if _is_tissue(item) and (corners := _corners(item))]
    # The last row and column are part of a region, but some scanners name the first ones after it.
    if any(right > columns or bottom > rows for (_, _, right, bottom), _ in tissue):
        return TissueRegion(whole, None)
    regions = [(region, item) for corners, item in tissue if (region := _cut(corners, rows, columns))]
    if not regions:
        return TissueRegion(whole, _lengths(numbers(data, "PixelSpacing")))
    region, item = max(regions, key=lambda pair: pair[0].height * pair[0].width)
    others = [other for other, _ in regions if _is_apart(other, region)]
    note = (
        f"shows tissue in {len(others) + 1} regions side by side; the largest, from column {region.left} and row "
        f"{region.top} on, is segmented, the others are not. Save each as a picture to segment them."
    )
    return TissueRegion(region, _millimetres(item), note if others else "")


def frame_rate(data: Dataset) -> float | None:
    """Return the frames per second, None where the object does not hold them."""
    milliseconds, rate = (next(iter(numbers(data, key)), 0.0) for key in ("FrameTime", "CineRate"))
    rate = 1000 / milliseconds if milliseconds > 0 else rate
    return rate if 1 <= rate <= 1000 else None


def _items(data: Dataset) -> list[Dataset]:
    return list(data.get("SequenceOfUltrasoundRegions") or [])


def _is_tissue(item: Dataset) -> bool:
    return numbers(item, "RegionSpatialFormat") == (_TWO_DIMENSIONS,) and numbers(item, "RegionDataType") == (_TISSUE,)


def _corners(item: Dataset) -> tuple[int, int, int, int] | None:
    """Return the first column and row and the last column and row of a region."""
    keys = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    values = [value for key in keys for value in numbers(item, key) if np.isfinite(value)]
    match values:
        case [left, top, right, bottom]:
            return int(left), int(top), int(right), int(bottom)
    return None


def _cut(corners: tuple[int, int, int, int], rows: int, columns: int) -> Region | None:
    left, top = max(0, corners[0]), max(0, corners[1])
    right, bottom = min(columns, corners[2] + 1), min(rows, corners[3] + 1)
    if bottom - top < max(1, _LEAST_SHARE * rows) or right - left < max(1, _LEAST_SHARE * columns):
        return None
    return Region(top, left, bottom - top, right - left)


def _is_apart(one: Region, other: Region) -> bool:
    """Return whether two regions share no pixel."""
    return (
        one.left >= other.left + other.width
        or other.left >= one.left + one.width
        or one.top >= other.top + other.height
        or other.top >= one.top + one.height
    )


def _millimetres(item: Dataset) -> tuple[float, float] | None:
    if {numbers(item, key) for key in ("PhysicalUnitsXDirection", "PhysicalUnitsYDirection")} != {(_CENTIMETRES,)}:
        return None
    # A negative delta gives the direction.
    deltas = (*numbers(item, "PhysicalDeltaY"), *numbers(item, "PhysicalDeltaX"))
    return _lengths(tuple(10 * abs(delta) for delta in deltas))


def _lengths(values: tuple[float, ...]) -> tuple[float, float] | None:
    """Return two lengths, where they are two and can be lengths."""
    match values:
        case (down, across) if 0 < down < np.inf and 0 < across < np.inf:
            return down, across
    return None
