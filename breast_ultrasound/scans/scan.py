"""What every kind of scan is read into."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError

Pixel = TypeVar("Pixel", bound=np.generic)

# Beyond any scanner, and 169 MB in grey.
MOST_PIXELS = 13_000**2


@dataclass(frozen=True)
class Region:
    """The part of a frame that shows tissue: rows and columns from (`top`, `left`) on, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Frame:
    """A frame of a scan: `whole` is uint8 [height, width], `number` counts from 1, and `region` is what is segmented.

    `mm_per_pixel` is the distance of two rows and that of two columns, None where the file does not tell.
    """

    whole: Grey
    number: int
    region: Region
    mm_per_pixel: tuple[float, float] | None

    @classmethod
    def of_whole(cls, whole: Grey, number: int) -> "Frame":
        """A frame that shows nothing but tissue, of a size that is not known."""
        return cls(whole, number, Region(0, 0, *whole.shape), None)

    @property
    def image(self) -> Grey:
        """What is segmented: the view of `whole` that the region cuts out."""
        return self.cut(self.whole)

    def cut(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """What the region cuts out of a plane of the whole frame, such as a mask: a view."""
        return plane[self._rows_and_columns]

    def on_whole(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """Put a mask or the probability of `image`, of its shape, on the whole frame, zero around it."""
        placed = np.zeros(self.whole.shape, plane.dtype)
        placed[self._rows_and_columns] = plane
        return placed

    @property
    def _rows_and_columns(self) -> tuple[slice, slice]:
        region = self.region
        return slice(region.top, region.top + region.height), slice(region.left, region.left + region.width)


@dataclass(frozen=True)
class Scan:
    """A scan that is open: how many frames it claims to hold, frames per second where it moves, and the frames.

    The frames are read when they are asked for, once, and raise UserError where the file is damaged.
    """

    length: int
    rate: float | None
    frames: Iterator[Frame]


def check_size(name: str, height: int, width: int, most_pixels: int) -> None:
    """UserError where a frame claims no pixels or more than `most_pixels`, asked before any of them is decoded."""
    if height < 1 or width < 1:
        raise UserError(f"{name}: claims to be {width}×{height} pixels; it is damaged. Replace it.")
    if height * width > most_pixels:
        raise UserError(
            f"{name}: {width}×{height} pixels are more than the {most_pixels:,} that are read here. Make it smaller."
        )
