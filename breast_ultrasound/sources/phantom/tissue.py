"""Draw the tissue of a breast as echogenicity in decibels: skin, fat, gland, muscle, and what resembles a lesion."""

from dataclasses import dataclass

import cv2
import numpy as np

from breast_ultrasound.sources.phantom.volume import Field, Slice


@dataclass(frozen=True)
class Tissue:
    """Echogenicity in dB, float64 [height, width], and the upper and lower bound of the gland, in rows [width].

    The echogenicity is changed in place where lesions are added.
    """

    echo: Field
    gland_top: Field
    gland_bottom: Field


def draw_tissue(height: int, width: int, depth: float, rng: Slice) -> Tissue:
    """Draw tissue without lesions; `depth` is the factor by which its echo fades faster than usual."""
    rows = np.arange(height)[:, None]
    tilt = np.linspace(-1, 1, width) * rng.uniform(-0.04, 0.04) * height
    skin = height * rng.uniform(0.015, 0.045) + 0.006 * height * _profile(width, width / 5, rng)
    fat = height * rng.uniform(0.15, 0.32) + tilt + 0.03 * height * _profile(width, width / 8, rng)
    gland = height * rng.uniform(0.6, 0.95) + tilt + 0.02 * height * _profile(width, width / 6, rng)
    # Fibres run along the layers: sample a long-grained noise at heights that follow their bounds.
    wave = tilt + 0.02 * height * _profile(width, width / 7, rng)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))

    def along_layers(noise: Field) -> Field:
        heights = (rows - wave[None]).astype(np.float32)
        moved = cv2.remap(noise, columns, heights, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.float64)

    shape = (height, width)
    fine = smooth_noise(shape, height / rng.uniform(250, 350), width / rng.uniform(18, 45), rng)
    fibres = along_layers(0.8 * fine + 0.6 * smooth_noise(shape, height / 110, width / rng.uniform(12, 30), rng))
    clumps = along_layers(smooth_noise(shape, height / rng.uniform(28, 60), width / rng.uniform(16, 32), rng))
    septa = np.maximum(along_layers(_septa(shape, rng)), _septa(shape, rng))
    sharp = 1.5
    in_fat = _step(rows - skin[None], sharp) * _step(fat[None] - rows, sharp)
    in_gland = _step(rows - fat[None], 3) * _step(gland[None] - rows, sharp)
    in_muscle = _step(rows - gland[None], sharp)
    density = rng.uniform(-3, 4)
    echo = np.full(shape, -4.0)
    echo += in_fat * (rng.uniform(-12, -6) + 2.5 * clumps + 2 * np.maximum(fibres, 0) + 13 * septa)
    echo += in_gland * (-2 + density + rng.uniform(1, 3.5) * clumps + 3.5 * np.maximum(fibres, -1) + 8 * septa)
    echo += in_muscle * (rng.uniform(-12, -5) + 2 * clumps + 6 * np.maximum(fibres, -0.7) + 6 * septa)
    for bound, strength in ((skin, rng.uniform(3, 8)), (fat, rng.uniform(0, 7)), (gland, rng.uniform(3, 10))):
        echo += strength * np.exp(-(((rows - bound[None]) / (height / 180)) ** 2))
    echo += _lobules(shape, fat, gland, rng)
    attenuation = depth * rng.uniform(8, 26) * np.maximum(rows / height - 0.35, 0) / 0.65
    echo -= attenuation * (1 + 0.25 * _profile(width, width / 6, rng))[None]
    echo -= _column_shadows(shape, fat, rng)
    return Tissue(echo, fat, gland)


def smooth_noise(shape: tuple[int, int], sigma_y: float, sigma_x: float, rng: Slice) -> Field:
    """Draw Gaussian noise of unit variance with the given correlation lengths in pixels, on a coarser grid."""
    step_y, step_x = max(1, int(sigma_y / 2)), max(1, int(sigma_x / 2))
    coarse = (shape[0] // step_y + 2, shape[1] // step_x + 2)
    noise = rng.field(coarse, sigma_x / shape[1])
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_x / step_x, sigmaY=sigma_y / step_y, borderType=cv2.BORDER_REFLECT)
    noise = cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def _profile(width: int, sigma: float, rng: Slice) -> Field:
    """Draw a smooth random curve of unit variance over the columns, float64 [width]."""
    return smooth_noise((8, width), 8, sigma, rng)[4]


def _step(distance: Field, softness: float) -> Field:
    """Return 0 on the negative side and 1 on the positive one, over a few pixels."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _septa(shape: tuple[int, int], rng: Slice) -> Field:
    """Draw thin bright curves, 0 to 1: where a smooth field passes through zero, stretched along the layers."""
    height, width = shape
    field = smooth_noise(shape, height / rng.uniform(22, 40), width / rng.uniform(8, 14), rng)
    field += 0.1 * smooth_noise(shape, height / 60, width / 40, rng)
    slope_y, slope_x = np.gradient(field)
    slope = np.hypot(slope_y, slope_x) + 1e-3
    present = np.clip(0.3 + smooth_noise(shape, height / 30, width / 18, rng), 0, 1)
    return np.exp(-((field / slope / rng.uniform(1.0, 1.8)) ** 2)) * present


def _lobules(shape: tuple[int, int], fat: Field, gland: Field, rng: Slice) -> Field:
    """Draw fat lobules inside the gland, dark and oval like a lesion, but faint and without a clear bound."""
    height, width = shape
    echo = np.zeros(shape)
    for _ in range(rng.integers(1, 5)):
        column = int(rng.uniform(0.05, 0.95) * width)
        row = rng.uniform(fat[column], gland[column])
        axes = (width * rng.uniform(0.03, 0.09), height * rng.uniform(0.015, 0.035))
        blob = np.zeros(shape)
        cv2.ellipse(blob, ((column, row), (2 * axes[0], 2 * axes[1]), rng.uniform(-12, 12)), 1.0, -1)
        echo -= rng.uniform(3, 7) * cv2.GaussianBlur(blob, (0, 0), height / 90)
    return echo


def _column_shadows(shape: tuple[int, int], fat: Field, rng: Slice) -> Field:
    """Draw the loss in dB below ligaments and bad contact: dark columns without a lesion on top."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    loss = np.zeros(shape)
    for _ in range(rng.integers(0, 4)):
        centre, spread = rng.uniform(0, width), width * rng.uniform(0.015, 0.07)
        start = fat[int(centre)] * rng.uniform(0.3, 1.6)
        lean = rng.uniform(-0.08, 0.08) * (rows - start)
        loss += (
            rng.uniform(4, 14) * np.exp(-(((columns - centre - lean) / spread) ** 2)) * _step(rows - start, height / 12)
        )
    return loss
