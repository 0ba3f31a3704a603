"""Add lesions to tissue, by the descriptors of BI-RADS.

Benign ones are smooth and wider than tall; malignant ones are irregular, spiculated, blurred, with a shadow.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.sources.phantom.tissue import Tissue, smooth_noise
from breast_ultrasound.sources.phantom.volume import Field, Slice


@dataclass(frozen=True)
class _Ellipse:
    """The centre and mean radius of a lesion in pixels, and its width over its height."""

    column: float
    row: float
    radius: float
    aspect: float


def add_lesion(tissue: Tissue, cls: str, others: list[Mask], rng: Slice) -> Mask:
    """Change the echogenicity of `tissue` where a new lesion lies, clear of the others, and return its mask."""
    malignant = cls == "malignant"
    mask = np.zeros(tissue.echo.shape, bool)
    for _ in range(20):
        mask = _outline(tissue.echo.shape, _place(tissue, malignant, rng), malignant, rng)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if not any((near & other).any() for other in others):
            break
    _paint_lesion(tissue.echo, mask, malignant, rng)
    return mask


def _place(tissue: Tissue, malignant: bool, rng: Slice) -> _Ellipse:
    """Draw the place and size of a lesion inside the gland."""
    height, width = tissue.echo.shape
    column = rng.uniform(0.2, 0.8) * width
    top, bottom = tissue.gland_top[int(column)], tissue.gland_bottom[int(column)]
    row = top + rng.uniform(0.15, 0.75) * (bottom - top)
    radius = height * (0.155 if malignant else 0.115) * np.exp(0.4 * rng.trait())
    radius = float(np.clip(radius, 0.04 * height, 0.3 * height))
    aspect = rng.uniform(0.75, 1.4) if malignant else rng.uniform(1.25, 2.1)
    return _Ellipse(column, row, radius, aspect)


def _outline(shape: tuple[int, ...], ellipse: _Ellipse, malignant: bool, rng: Slice) -> Mask:
    """Draw a closed curve given by its radius over the angle: an ellipse with harmonics and, if malignant, spicules."""
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    harmonics = range(2, 14) if malignant else range(2, 5)
    roughness = rng.uniform(0.15, 0.3) if malignant else rng.uniform(0.01, 0.06)
    ripple = sum(rng.trait() / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in harmonics)
    length = np.exp(roughness * ripple)
    for _ in range(rng.integers(2, 7) if malignant else 0):
        away = np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi))))
        length = length + rng.uniform(0.12, 0.45) * np.exp(-((away / rng.uniform(0.06, 0.16)) ** 2))
    stretch = np.sqrt(ellipse.aspect)
    x, y = stretch * length * np.cos(angle), length / stretch * np.sin(angle)
    tilt = np.radians(rng.uniform(-20, 20) if malignant else rng.uniform(-10, 10))
    points = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=-1)
    mask = np.zeros(shape, np.uint8)
    corners = np.round(points * ellipse.radius + (ellipse.column, ellipse.row)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1)
    return mask > 0


def _paint_lesion(echo: Field, mask: Mask, malignant: bool, rng: Slice) -> None:
    """Change the echogenicity inside a mask, at its rim and, by its shadow or enhancement, below it."""
    height = echo.shape[0]
    blur = height * (rng.uniform(0.005, 0.013) if malignant else rng.uniform(0.0015, 0.004))
    inside = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), blur)
    cyst = not malignant and rng.random() < 0.4
    grain = smooth_noise((height, echo.shape[1]), height / 50, height / 45, rng)
    level = -27 + grain if cyst else -13 + (3.5 if malignant else 1.5) * grain
    depth = echo[mask].mean() * 0.35
    echo += inside * (level + depth + rng.uniform(-3, 3) - echo)
    rim = np.clip(cv2.GaussianBlur(mask.astype(np.float64), (0, 0), height / 45) - inside, 0, 1)
    echo += rim * (rng.uniform(2, 9) if malignant else rng.uniform(0, 5))
    if malignant and rng.random() < 0.8:
        transmission = -rng.uniform(5, 20)
    else:
        transmission = rng.uniform(4, 10) if cyst else rng.uniform(-2, 5)
    echo += _behind(mask) * (1 - inside) * transmission


def _behind(mask: Mask) -> Field:
    """Return the columns below a lesion, 0 to 1, fading to their sides and with depth."""
    height, width = mask.shape
    columns = np.flatnonzero(mask.any(axis=0))
    last = height - 1 - np.argmax(mask[::-1], axis=0)
    below = np.zeros(mask.shape)
    for column in columns:
        below[last[column] :, column] = 1
    half = max(1.0, len(columns) / 2)
    lateral = np.clip(1 - ((np.arange(width) - columns.mean()) / half) ** 2, 0, 1) ** 0.5
    fade = np.exp(-np.maximum(np.arange(height) - last[columns].mean(), 0) / (0.45 * height))
    return cv2.GaussianBlur(below * lateral[None] * fade[:, None], (0, 0), height / 100)
