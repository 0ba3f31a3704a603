"""Domain shifts: the same image with other gain, contrast, sharpness or depth gain, a stand-in for other hospitals."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey


def _gain(image: Grey) -> NDArray[np.float64]:
    """Brighten: gamma 0.6."""
    return 255 * (image / 255) ** 0.6


def _contrast(image: Grey) -> NDArray[np.float64]:
    """Flatten: a dynamic range of 60 %, around the image's own mean."""
    return image.mean() + 0.6 * (image - image.mean())


def _blur(image: Grey) -> NDArray[np.float64]:
    """Blur, as a lower frequency does: by a Gaussian of 1 % of the side of the image."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.1, 0.01 * np.sqrt(image.size))), np.float64)


def _depth(image: Grey) -> NDArray[np.float64]:
    """Darken with depth, as without time gain: down to 40 % at the bottom."""
    return image * np.linspace(1, 0.4, len(image))[:, None]


_SHIFTS: dict[str, Callable[[Grey], NDArray[np.float64]]] = {
    "gain": _gain,
    "contrast": _contrast,
    "blur": _blur,
    "depth": _depth,
}
DOMAIN_SHIFTS = tuple(_SHIFTS)


def apply_domain_shift(shift: str, image: Grey) -> Grey:
    """Return uint8 [height, width] with its grey values changed by one of DOMAIN_SHIFTS; nothing moves.

    The image is given without padding, whose black would count as tissue.
    """
    return np.clip(np.round(_SHIFTS[shift](image)), 0, 255).astype(np.uint8)
