"""The same image as another scanner, or other settings, might have shown it: a stand-in for other hospitals."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey


def _gain(image: Grey) -> NDArray[np.float64]:
    """Brighter: gamma 0.6."""
    return 255 * (image / 255) ** 0.6


def _contrast(image: Grey) -> NDArray[np.float64]:
    """Flatter: a dynamic range of 60 %, around the image's own mean."""
    return image.mean() + 0.6 * (image - image.mean())


def _blur(image: Grey) -> NDArray[np.float64]:
    """Of a lower frequency: blurred by a Gaussian of 1 % of the side of the image."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.1, 0.01 * np.sqrt(image.size))), np.float64)


def _depth(image: Grey) -> NDArray[np.float64]:
    """Without time gain: darker with depth, down to 40 % at the bottom."""
    return image * np.linspace(1, 0.4, len(image))[:, None]


_SCANNERS: dict[str, Callable[[Grey], NDArray[np.float64]]] = {
    "gain": _gain,
    "contrast": _contrast,
    "blur": _blur,
    "depth": _depth,
}
SCANNERS = tuple(_SCANNERS)


def as_seen_by(scanner: str, image: Grey) -> Grey:
    """Change grey values uint8 [height, width], without padding, as the name of SCANNERS says; nothing moves."""
    return np.clip(np.round(_SCANNERS[scanner](image)), 0, 255).astype(np.uint8)
