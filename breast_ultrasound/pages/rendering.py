"""Templates of pages, how they are filled, and pictures made small enough to lie inside them."""

import base64
import math
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, contour_path, encode

TEMPLATES = Path(__file__).parent / "templates"

# Ten times what the outline of a lesion takes.
_LONGEST_PATH = 10_000
_NONE = 1e-12

# How often the width a picture may be high; of a column of pixels the picture would be too large for JPEG.
_TALLEST = 10


def render(template: str, **values: Any) -> str:
    """Fill a template; a name that it lacks is an error.

    Every template has the colours `truth` and `prediction`, and the filter `signed`.
    """
    loader = jinja2.FileSystemLoader(TEMPLATES)
    escape = jinja2.select_autoescape(["html.j2"])
    environment = jinja2.Environment(
        loader=loader, autoescape=escape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"truth": TRUTH, "prediction": PREDICTION}
    environment.filters["signed"] = signed
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template).render(**values)


def signed(difference: float) -> str:
    """Write a difference of figures in three decimals, or in as many as a small one takes not to look like none.

    >>> signed(0.0123), signed(-0.00004), signed(0)
    ('+0.012', '-0.00004', '0')
    """
    # What is left of a sum of differences that cancel out.
    if abs(difference) < _NONE:
        return "0"
    text = f"{difference:+.3f}"
    return text if float(text) else f"{difference:+.{-math.floor(math.log10(abs(difference)))}f}"


def shrink(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Scale uint8 [height, width] to a width, by area averaging; the height follows, from 1 to ten times the width."""
    height = min(max(1, round(width * pixels.shape[0] / pixels.shape[1])), _TALLEST * width)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def shrink_mask(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Scale bool [height, width] to a width; a pixel is true where at least half of it was."""
    return shrink(mask.astype(np.uint8) * 255, width) > 127


def outline(mask: NDArray[np.bool_], width: int) -> str:
    """Return the outlines of bool [height, width] as the `d` of an SVG path for a picture of a width.

    A mask of countless specks, such as a hardly trained network makes, is drawn on a coarser grid than the picture's:
    its outlines would be ten times as large as the picture.
    """
    grid = width
    while len(path := contour_path(shrink_mask(mask, grid), width / grid)) > _LONGEST_PATH:
        grid //= 2
    return path


def jpeg(picture: NDArray[np.uint8]) -> str:
    """Encode a picture, RGB or grey uint8, as base64 text for a page."""
    return base64.b64encode(encode(picture, ".jpg")).decode()
