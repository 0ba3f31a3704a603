"""Image files as arrays and back: decoding, merging, writing."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError

# Labels are small numbers; a white that dark would be seen by nobody.
_LABELS = 32


def decode(path: Path, channels: int) -> NDArray[Any]:
    """Decode an image file as `decode_bytes` does. UserError also where it is missing."""
    try:
        # Not cv2.imread: on Windows it can't open a path with letters outside the code page.
        encoded = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    return decode_bytes(encoded, str(path), channels)


def decode_bytes(encoded: bytes, name: str, channels: int) -> NDArray[Any]:
    """Decode an image at its own depth: [height, width], or [height, width, 3] in colour; alpha is dropped.

    `channels` is OpenCV's IMREAD_GRAYSCALE (luminance), IMREAD_COLOR or IMREAD_ANYCOLOR. Pixels lie as viewers show
    them: what an orientation tag (EXIF or TIFF) calls stored turned or mirrored is put upright, image and mask alike.
    UserError, which calls the image `name`, where it is damaged, no image or too large, or holds values that are no
    numbers.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), channels | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        # Raised for an empty file and for a header that claims too many pixels.
        pixels = None
    if pixels is None:
        raise UserError(
            f"{name}: not a readable image; it is damaged, in another format or of more than 2^30 pixels. Replace it."
        )
    if not np.isfinite(pixels).all():
        raise UserError(f"{name}: holds values that are no finite numbers. Replace it.")
    return np.asarray(pixels)


def pixel_digest(pixels: NDArray[Any]) -> str:
    """The SHA-256 of the shape and the values of an image, in hexadecimal: equal for equal pixels, however encoded."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def read_grey(path: Path) -> Grey:
    """Read an image file as uint8 [height, width] luminance, of more than 8 bits as `eight_bits` has it."""
    return eight_bits(decode(path, cv2.IMREAD_GRAYSCALE))


def eight_bits(pixels: NDArray[Any]) -> Grey:
    """Grey values [height, width] of any depth as uint8 of the same shape.

    More than 8 bits are mapped by their own range, the darkest pixel to 0 and the brightest to 255, since files of 16
    bits often hold 10 or 12; a single level becomes 0.
    """
    if pixels.dtype == np.uint8:
        return pixels
    above = pixels.astype(np.float64) - pixels.min()
    return np.round(255 * (above / (above.max() or 1))).astype(np.uint8)


def read_mask(path: Path) -> Mask:
    """Read a mask of any depth as bool [height, width]; in colour the brightest channel counts, and alpha is ignored.

    Of two values the brighter is lesion (0 and 1, 255, 256 or 65535); of one value all is, or nothing where it is 0.
    Whole numbers from 0 to below 32 are labels, and all but 0 are lesion. Other whole numbers are black and white with
    soft edges, as smoothing and JPEG leave them, and lesion above half of the brightest. UserError for anything else,
    also where 3×3 equal pixels are of a grey up to that half: no soft edge, it may be a label or nothing.
    """
    values = decode(path, cv2.IMREAD_ANYCOLOR)
    if values.ndim == 3:
        values = values.max(axis=-1)
    low, high = values.min(), values.max()
    if low >= 0 and ((values == low) | (values == high)).all():
        return (values == high) & (values > 0)
    if low == 0 and (values == np.round(values)).all():
        if high < _LABELS:
            return values > 0
        if not _has_even_grey(values):
            return values > high / 2
    raise UserError(
        f"{path}: which pixels are lesion cannot be told: it is neither of two values, nor of labels from 0 to "
        f"{_LABELS - 1}, nor black and white with soft edges. Make lesions white and all else black."
    )


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture uint8 [height, width]; its folder is there."""
    # Not cv2.imwrite, for the same reason as in `decode`.
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def merge_masks(masks: Sequence[Mask]) -> Mask:
    """The union of one or more bool masks [height, width] of the same shape."""
    return np.logical_or.reduce(masks)


def _has_even_grey(values: NDArray[Any]) -> bool:
    """Whether 3×3 equal pixels are grey, at most half as bright as the brightest one.

    Up to a sixteenth is black: lossy compression leaves areas of it.
    """
    spread = cv2.morphologyEx(values.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    grey = (values > values.max() / 16) & (values <= values.max() / 2)
    return bool((grey & (spread == 0)).any())
