"""The output of a network."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey


@dataclass(frozen=True)
class Output:
    """What a network returns for one image, before post-processing.

    `probability` is that of a lesion for each pixel of the network's grid, uint8 [size, size] in steps of 1/255, and
    `class_probabilities` are those of CLASSES after the fitted temperature, float [3], or [0] without a class head.
    """

    probability: Grey
    class_probabilities: NDArray[Any]
