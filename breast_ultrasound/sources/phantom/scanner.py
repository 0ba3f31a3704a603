"""The phantom's scanner: from echogenicity in decibels to the grey image that it would show.

The speckle comes from a field of point scatterers convolved with a modulated Gaussian pulse, its envelope and log
compression (Bamber & Dickinson, Phys. Med. Biol. 25, 1980).
"""

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field as PydanticField

from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.params import Real, Section, Share
from breast_ultrasound.sources.phantom.picture import DrawnImage
from breast_ultrasound.sources.phantom.volume import Field, Slice, white_noise


class Scanner(Section):
    """The settings of the scanner: section `phantom` of params.yaml, which explains each."""

    gain: Annotated[Real, PydanticField(ge=-100, le=100)]
    noise: Share
    depth: Annotated[Real, PydanticField(gt=0, le=100)]
    sector: Annotated[Real, PydanticField(ge=0, le=120)]


# The settings that change nothing.
LINEAR = Scanner(gain=0.0, noise=0.0, depth=1.0, sector=0.0)


def scan_tissue(echo: Field, scanner: Scanner, rng: Slice) -> Grey:
    """Turn echogenicity in dB into a grey image uint8 [height, width], with speckle and a grey curve of its own."""
    height, width = echo.shape
    axial, lateral = height / 480 * rng.uniform(0.8, 1.3), width / 600 * rng.uniform(1.3, 2.2)
    # The carrier has about a quarter of a period a pixel; demodulated, only its envelope is left.
    carrier = np.exp(-2j * np.pi * 0.25 * np.arange(height))[:, None]
    amplitude = 10 ** (echo / 20)
    power = np.zeros(echo.shape)
    # Modern scanners compound several looks, which calms the speckle.
    looks = int(rng.integers(2, 5))
    for _ in range(looks):
        scattered = amplitude * white_noise(rng.speckle, echo.shape) * carrier
        real, imaginary = (
            cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), lateral, sigmaY=axial)
            for part in (scattered.real, scattered.imag)
        )
        power += (real**2 + imaginary**2) / looks
    decibel = 10 * np.log10(power + 1e-9)
    decibel = cv2.GaussianBlur(decibel, (0, 0), height / 480 * rng.uniform(0.6, 1.0))
    white = np.percentile(decibel, 99.5)
    span = rng.uniform(34, 46)
    grey = np.clip((decibel + scanner.gain - white + span) / span, 0, 1) ** rng.uniform(1.0, 1.6)
    if scanner.noise:
        # Noise of the electronics grows with the amplification of the depth.
        deep = np.linspace(0, 1, height)[:, None]
        grey = np.clip(grey + scanner.noise * deep * white_noise(rng.speckle, grey.shape), 0, 1)
    return np.round(255 * grey).astype(np.uint8)


def fan_out(picture: DrawnImage, half: float) -> DrawnImage:
    """Return the picture as a curved probe shows it: columns spread over twice the angle `half`, canvas as large."""
    height, width = picture.image.shape
    radius = max(0.05 * height, width / (2 * np.sin(half)) - height)
    # Nothing of the sector is cut off: the ends of the probe lie at the upper edge, its middle below.
    scale = height / (radius * (1 - np.cos(half)) + height)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    across, along = (x - width / 2) / scale, y / scale + radius * np.cos(half)
    column = (np.arctan2(across, along) / half + 1) / 2 * (width - 1)
    row = np.hypot(across, along) - radius

    def mapped(pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
        moved = cv2.remap(pixels, column.astype(np.float32), row.astype(np.float32), interpolation)
        return np.asarray(moved, np.uint8)

    masks = [mapped(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0 for mask in picture.masks]
    return DrawnImage(mapped(picture.image, cv2.INTER_LINEAR), masks)
