"""Between an image's own pixel grid and the square one of the network."""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Letterbox:
    """How an image of height×width lies in a square grid: scaled with its aspect ratio kept, centred, padded by zeros.

    All lengths are in pixels; `content_height`×`content_width` is the scaled image, its corner at (`top`, `left`).
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
        """The letterbox that fits height×width into size×size; no side of the content is ever below one pixel."""
        scale = size / max(height, width)
        content_height, content_width = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (size - content_height) // 2, (size - content_width) // 2
        return cls(height, width, size, top, left, content_height, content_width)

    def image_in(self, image: Grey) -> Grey:
        """Put uint8 [height, width] on the square grid, by area averaging where it shrinks: uint8 [size, size]."""
        square = np.zeros((self.size, self.size), np.uint8)
        self.content(square)[...] = self._resize(image)
        return square

    def mask_in(self, mask: Mask) -> Mask:
        """Put bool [height, width] on the square grid: bool [size, size].

        A grid pixel is lesion where at least half of its area is, and where it is the fullest of a lesion so thin or
        small that no pixel is half covered: a mask that is not empty never becomes empty.
        """
        square = np.zeros((self.size, self.size), bool)
        coverage = self._resize(mask.astype(np.float32))
        self.content(square)[...] = (coverage >= min(0.5, coverage.max())) & (coverage > 0)
        return square

    def image_out(self, square: Grey) -> Grey:
        """Map uint8 [size, size] back to the native grid bilinearly: uint8 [height, width]."""
        content = np.ascontiguousarray(self.content(square))
        return np.asarray(cv2.resize(content, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def content(self, square: NDArray[Pixel]) -> NDArray[Pixel]:
        """The view of [size, size] that holds the image, without the padding."""
        return square[self.top : self.top + self.content_height, self.left : self.left + self.content_width]

    def geometry(self) -> dict[str, int]:
        """The fields as plain numbers, for a table."""
        return asdict(self)

    def _resize(self, pixels: NDArray[Any]) -> NDArray[Any]:
        shrinks = self.content_height <= self.height and self.content_width <= self.width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(pixels, (self.content_width, self.content_height), interpolation=interpolation))
