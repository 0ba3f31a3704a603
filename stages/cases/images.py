"""Image files as arrays: decoding and merging."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.pipeline.arrays import Grey, Mask
from stages.pipeline.errors import UserError


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
