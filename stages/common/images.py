"""Images and masks as arrays: decoding, merging, and the letterbox between an image's own grid and the network's."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.common.errors import UserError

Grey: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]

S = TypeVar("S")
T = TypeVar("T")
Pixel = TypeVar("Pixel", bound=np.generic)


def decode(path: Path, flags: int) -> NDArray[np.uint8]:
    """Decode an image file with OpenCV's `flags`; UserError where it is missing, damaged or no image."""
    try:
        # Not cv2.imread: on Windows it can't open a path with letters outside the code page.
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    pixels = cv2.imdecode(encoded, flags) if encoded.size else None
    if pixels is None:
        raise UserError(f"{path}: not a readable image; it is damaged or in another format. Replace it.")
    return np.asarray(pixels, np.uint8)


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """The SHA-256 of the shape and the values of an image, in hexadecimal: equal for equal pixels, however encoded."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def read_grey(path: Path) -> Grey:
    """Read an image as uint8 [height, width] luminance."""
    return decode(path, cv2.IMREAD_GRAYSCALE)


def read_mask(path: Path) -> Mask:
    """Read a mask of any depth and number of channels as bool [height, width]; alpha is ignored.

    A pixel is lesion where a colour channel exceeds half of the mask's brightest value, so that masks of 0/1, 0/255
    and 16 bits read alike; an all-black mask is empty.
    """
    pixels = decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=-1) if pixels.shape[-1] >= 3 else pixels[..., 0]
    return pixels > pixels.max() / 2


def merge_masks(masks: Sequence[Mask]) -> Mask:
    """The union of one or more bool masks [height, width] of the same shape."""
    return np.logical_or.reduce(masks)


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


def map_on_all_cores(work: Callable[[S], T], items: Sequence[S], label: str | None = None) -> Iterator[T]:
    """Yield work(item) in the order of `items`, computed on every core, behind a progress bar that bears
    `label`, if there is one.

    Threads do, since decoding and resizing release the interpreter lock. At most 64 results a core wait at a time,
    however many items there are.
    """
    cores = os.cpu_count() or 1
    chunk = 64 * cores
    with (
        ThreadPoolExecutor(cores) as pool,
        tqdm(total=len(items), desc=label, unit="image", disable=None if label else True) as bar,
    ):
        for start in range(0, len(items), chunk):
            for result in pool.map(work, items[start : start + chunk]):
                yield result
                bar.update()
