"""What every kind of scan is read into."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Region:
    """The part of a frame that shows tissue: rows and columns from (`top`, `left`) on, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Frame:
    """A frame of a scan: `whole` is uint8 [height, width], `number` counts from 1, `region` is the part to segment.

    `mm_per_pixel` is the distance of two rows and that of two columns, None where the file does not hold it.

    >>> frame = Frame(np.zeros((4, 6), np.uint8), 1, Region(top=1, left=2, height=3, width=4), None)
    >>> frame.image.shape
    (3, 4)
    >>> frame.to_whole(np.ones((3, 4), bool)).sum(axis=0).tolist()
    [0, 0, 3, 3, 3, 3]
    """

    whole: Grey
    number: int
    region: Region
    mm_per_pixel: tuple[float, float] | None

    @classmethod
    def without_region(cls, whole: Grey, number: int) -> "Frame":
        """Return a frame that shows nothing but tissue, of unknown size."""
        return cls(whole, number, Region(0, 0, *whole.shape), None)

    @property
    def mm_per_square_pixel(self) -> float | None:
        """Return the side of a pixel; None where it is unknown, or off a square by more than a hundredth."""
        if self.mm_per_pixel is None or not math.isclose(*self.mm_per_pixel, rel_tol=0.01):
            return None
        return sum(self.mm_per_pixel) / 2

    @property
    def image(self) -> Grey:
        """Return the part to segment: the view of `whole` that the region cuts out."""
        return self.cut(self.whole)

    def cut(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """Cut the region out of a plane of the whole frame, such as a mask: a view."""
        return plane[self._rows_and_columns]

    def to_whole(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """Place a mask or the probability of `image`, of its shape, on the whole frame, zero around it."""
        placed = np.zeros(self.whole.shape, plane.dtype)
        placed[self._rows_and_columns] = plane
        return placed

    @property
    def _rows_and_columns(self) -> tuple[slice, slice]:
        region = self.region
        return slice(region.top, region.top + region.height), slice(region.left, region.left + region.width)


@dataclass(frozen=True)
class Scan:
    """An open scan: `length` is the number of frames that it claims to hold, an estimate in some kinds of clip.

    `moves` where it is a clip or holds several frames, `rate` is in frames per second, None where it is unknown.

    The frames are read when they are asked for, once, and raise UserError where the file is damaged. `notes` are
    sentences for the user on what is left out; they are complete once the frames are read.
    """

    length: int
    moves: bool
    rate: float | None
    frames: Iterator[Frame]
    notes: list[str]
