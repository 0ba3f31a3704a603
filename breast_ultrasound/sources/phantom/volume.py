"""The volume of tissue that the frames of a sweep cut through, and the path of the probe over it."""

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

# In float64 a rounding that differs between processors never reaches a grey value; in float32 one in 90,000 changes.
Field: TypeAlias = NDArray[np.float64]

# The fewest and the most frames of a sweep.
SWEEP_FRAMES = (3, 9)
# From a frame of a sweep to the next one, as shares of its width: how far the probe moves on, and slips along itself.
# The aligned detail of neighbours then correlates by 0.55 to 0.88; in a sweep of BUSI by 0.79 to 0.87.
_SWEEP_STEP = (0.005, 0.02)
_SWEEP_SLIP = 0.02


class Slice(np.random.Generator):
    """Draws one section through a volume of tissue, at a `distance` from the first one, as a share of the width.

    Its own draws, such as where layers lie and how the scanner is set, are the same for all sections of the volume.
    Its `field` turns into another one from section to section, the sooner the finer it is, as a Gaussian field in space
    does. Its generator `speckle` draws what no two frames share.
    """

    def __init__(self, volume: tuple[int, ...], distance: float = 0.0, frame: int = 0) -> None:
        super().__init__(np.random.PCG64(volume))
        # NumPy takes keys that differ by zeros at their end for the same.
        self._beyond = np.random.default_rng((*volume, 1))
        self.speckle = np.random.default_rng((*volume, 2, frame))
        self._distance = distance

    def field(self, shape: tuple[int, int], length: float) -> Field:
        """Draw white noise of `shape`, alike in sections that are much nearer than `length`, a share of the width."""
        here = white_noise(self, shape)
        if not self._distance:
            return here
        angle = self._distance / length
        return np.cos(angle) * here + np.sin(angle) * white_noise(self._beyond, shape)

    def trait(self) -> float:
        """Draw a number of unit variance that shapes a lesion, and changes over its extent."""
        return float(self.field((1, 1), 0.15)[0, 0])


def white_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """Draw Gaussian noise of unit variance, in the digits of float32, which take half as long to draw."""
    return rng.standard_normal(shape, dtype=np.float32).astype(np.float64)


def probe_path(key: tuple[int, ...]) -> tuple[Field, Field]:
    """Draw where the frames of a sweep lie: how far on, and how far along the probe, as shares of the width."""
    rng = np.random.default_rng(key)
    on, slip = rng.uniform(*_SWEEP_STEP, SWEEP_FRAMES[1]), rng.uniform(-_SWEEP_SLIP, _SWEEP_SLIP, SWEEP_FRAMES[1])
    return np.cumsum(on) - on[0], np.cumsum(slip) - slip[0]


def slip_along(pixels: NDArray[Any], slip: float) -> NDArray[Any]:
    """Move [height, width] to the left by a share of its width, mirrored where it ends."""
    height, width = pixels.shape
    shift = np.array([[1, 0, -slip * width], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(pixels, shift, (width, height), borderMode=cv2.BORDER_REFLECT), pixels.dtype)
