"""Contours of masks, drawn on their image or as paths."""

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey, Mask

# Sky blue and orange of Okabe & Ito (2008), distinct in every common form of colour blindness; red, green, blue.
TRUTH = (86, 180, 233)
PREDICTION = (230, 159, 0)

# Halves the size of a picture against OpenCV's 95; beside speckle the loss is invisible.
_JPEG_QUALITY = 80

Colour = tuple[int, int, int]


def overlay(image: Grey, masks: list[tuple[Mask, Colour]]) -> NDArray[np.uint8]:
    """Draw the contour of each bool mask in its colour on uint8 [height, width]: RGB uint8 [height, width, 3]."""
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    thickness = max(1, round(max(image.shape) / 300))
    for mask, colour in masks:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour, thickness, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def contour_path(mask: Mask, step: float = 1) -> str:
    """Return the outlines of bool [height, width], whose pixels are `step` wide, as the `d` of an SVG path.

    It is empty for an empty mask.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    corners = [(step * (contour[:, 0] + 0.5)).tolist() for contour in contours]
    return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in contour) + "Z" for contour in corners)


def encode(picture: NDArray[np.uint8], suffix: str) -> bytes:
    """Encode RGB or grey uint8 as an image file of the type that `suffix` names, such as `.png`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []
    done, encoded = cv2.imencode(suffix, picture if picture.ndim == 2 else picture[..., ::-1], options)
    if not done:
        raise RuntimeError(f"OpenCV could not encode {suffix}")
    return encoded.tobytes()
