"""Pages for people: templates filled, and pictures made small enough to lie inside them."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pages.overlay import contour_path, encode

TEMPLATES = Path(__file__).parent / "templates"

# Ten times what the outline of a lesion takes.
_LONGEST_PATH = 10_000


def render(template: str, **values: Any) -> str:
    """Fill a template; a name that it misses is an error."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    escape = jinja2.select_autoescape(["html.j2"])
    environment = jinja2.Environment(
        loader=loader, autoescape=escape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template).render(**values)


def shrink(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Scale uint8 [height, width] to a width, by area averaging."""
    size = (width, max(1, round(width * pixels.shape[0] / pixels.shape[1])))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def shrink_mask(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Scale bool [height, width] to a width: true where at least half of a pixel is."""
    return shrink(mask.astype(np.uint8) * 255, width) > 127


def outline(mask: NDArray[np.bool_], width: int) -> str:
    """The outlines of bool [height, width] as the `d` of an SVG path for a picture of a width.

    They are drawn on that grid of pixels, but a mask of countless specks, such as a hardly trained network makes, on a
    coarser one, since its outlines would be ten times as large as the picture.
    """
    grid = width
    while len(path := contour_path(shrink_mask(mask, grid), width / grid)) > _LONGEST_PATH:
        grid //= 2
    return path


def jpeg(picture: NDArray[np.uint8]) -> str:
    """A picture as base64 text for a page."""
    return base64.b64encode(encode(picture, ".jpg")).decode()
