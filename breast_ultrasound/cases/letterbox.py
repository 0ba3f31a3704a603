"""The letterbox: maps an image from its native pixel grid to the square grid of the network, and back."""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Letterbox:
    """The place of an image of height×width in a square grid: scaled with its aspect ratio kept, centred, zero-padded.

    All lengths are in pixels; `content_height`×`content_width` is the scaled image, its corner at (`top`, `left`).

    >>> box = Letterbox.fit(height=2, width=4, size=4)
    >>> box.to_grid(np.array([[10, 10, 90, 90], [10, 10, 90, 90]], np.uint8)).tolist()
    [[0, 0, 0, 0], [10, 10, 90, 90], [10, 10, 90, 90], [0, 0, 0, 0]]
    >>> box.to_native(np.full((4, 4), 7, np.uint8)).shape
    (2, 4)
    """

    height: int
    width: int
    size: int
    top: int
    left: int
    content_height: int
    content_width: int

    @classmethod
    def fit(cls, height: int, width: int, size: int) -> "Letterbox":
        """Return the letterbox that fits height×width into size×size; the content has at least one pixel a side."""
        scale = size / max(height, width)
        content_height, content_width = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (size - content_height) // 2, (size - content_width) // 2
        return cls(height, width, size, top, left, content_height, content_width)

    def to_grid(self, image: Grey) -> Grey:
        """Map uint8 [height, width] to the grid, by area averaging where it shrinks: uint8 [size, size]."""
        grid = np.zeros((self.size, self.size), np.uint8)
        self.content(grid)[...] = self._resize(image)
        return grid

    def mask_to_grid(self, mask: Mask) -> Mask:
        """Map bool [height, width] to the grid: bool [size, size].

        A grid pixel is lesion where at least half of its area is. Of a lesion so thin or small that no pixel is half
        covered, the fullest pixels are lesion: a mask that is not empty never becomes empty.
        """
        grid = np.zeros((self.size, self.size), bool)
        # What float arithmetic adds to exactly one half differs between processors.
        coverage = np.round(self._resize(mask.astype(np.float64)), 6)
        self.content(grid)[...] = (coverage >= min(0.5, coverage.max())) & (coverage > 0)
        return grid

    def to_native(self, grid: Grey) -> Grey:
        """Map uint8 [size, size] back to native pixels bilinearly: uint8 [height, width]."""
        content = np.ascontiguousarray(self.content(grid))
        return np.asarray(cv2.resize(content, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def content(self, grid: NDArray[Pixel]) -> NDArray[Pixel]:
        """Return the view of [size, size] that holds the image, without the padding."""
        return grid[self.top : self.top + self.content_height, self.left : self.left + self.content_width]

    def geometry(self) -> dict[str, int]:
        """Return the fields by name, as columns of a table."""
        return asdict(self)

    def _resize(self, pixels: NDArray[Any]) -> NDArray[Any]:
        shrinks = self.content_height <= self.height and self.content_width <= self.width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(pixels, (self.content_width, self.content_height), interpolation=interpolation))
