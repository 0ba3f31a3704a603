"""Images and masks: reading, merging, writing."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.pictures import decode, read_picture
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError

# Labels are small numbers; a white that dark would be invisible.
_LABELS = 32

# No lesion of BUSI or BUS-BRA covers more than 0.58 of its image.
_MOST_COVERED = 0.99


def pixel_digest(pixels: NDArray[Any]) -> str:
    """Return the SHA-256 of the shape and values of an image, in hexadecimal, whatever its encoding."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def read_grey(path: Path) -> Grey:
    """Read an image file as uint8 [height, width] luminance; `eight_bits` maps more than 8 bits."""
    return eight_bits(decode(path, cv2.IMREAD_GRAYSCALE))


def eight_bits(pixels: NDArray[Any]) -> Grey:
    """Return grey values [height, width] of any depth as uint8 of the same shape.

    More than 8 bits are mapped by their own range, the darkest pixel to 0 and the brightest to 255, since files of 16
    bits often hold 10 or 12; a single level becomes 0.
    """
    if pixels.dtype == np.uint8:
        return pixels
    above = pixels.astype(np.float64) - pixels.min()
    return np.round(255 * (above / (above.max() or 1))).astype(np.uint8)


def read_mask(path: Path) -> Mask:
    """Read a mask of any depth as bool [height, width]; in colour the brightest channel counts.

    Of two values the brighter is lesion (0 and 1, 255, 256 or 65535); of one value all is, or nothing where it is 0.
    Whole numbers from 0 to below 32 are labels, and all but 0 are lesion. Other whole numbers are black and white with
    soft edges, as smoothing and JPEG leave them, and lesion above half of the brightest. Where the colour is one, its
    opacity is read in the same way.

    UserError for anything else: where 3×3 equal pixels are of a grey up to that half, which may be a label or nothing;
    where lesions are transparent; and where lesions cover all of the image or nearly so.
    """
    picture = read_picture(path)
    [values] = picture.pages(cv2.IMREAD_ANYCOLOR)
    values, alpha = values.max(axis=-1) if values.ndim == 3 else values, picture.alpha()
    is_drawn_by_alpha = alpha is not None and (values == values.min()).all() and (alpha != alpha.min()).any()
    mask = _lesions(alpha if alpha is not None and is_drawn_by_alpha else values)
    if mask is None or (alpha is not None and (alpha[mask] == 0).any() and (alpha > 0).any()):
        raise UserError(
            f"{path}: which pixels are lesion is ambiguous: it is neither of two values, nor of labels from 0 to "
            f"{_LABELS - 1}, nor black and white with soft edges. Make lesions white and all else black."
        )
    if mask.mean() >= _MOST_COVERED:
        raise UserError(
            f"{path}: calls {mask.mean():.1%} of the image lesion. Make lesions white and all else black, "
            "or leave the mask out."
        )
    return mask


def _lesions(values: NDArray[Any]) -> Mask | None:
    """Return which values [height, width] are lesion, bool of the same shape; None where that is ambiguous."""
    low, high = values.min(), values.max()
    if low >= 0 and ((values == low) | (values == high)).all():
        return (values == high) & (values > 0)
    if low == 0 and (values == np.round(values)).all():
        if high < _LABELS:
            return values > 0
        if not _has_even_grey(values):
            return values > high / 2
    return None


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture uint8 [height, width]; its folder is there."""
    # Not cv2.imwrite, for the same reason as in `decode`.
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def merge_masks(masks: Sequence[Mask]) -> Mask:
    """Return the union of one or more bool masks [height, width] of the same shape."""
    return np.logical_or.reduce(masks)


def _has_even_grey(values: NDArray[Any]) -> bool:
    """Return whether 3×3 equal pixels are grey, at most half as bright as the brightest one.

    Up to a sixteenth is black: lossy compression leaves areas of it.
    """
    spread = cv2.morphologyEx(values.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    grey = (values > values.max() / 16) & (values <= values.max() / 2)
    return bool((grey & (spread == 0)).any())
