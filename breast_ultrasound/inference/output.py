"""The output of a network."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from breast_ultrasound.pipeline.arrays import Grey

# The feature distance beyond which an image is unlike those that the network was tested on.
FARTHEST = 1


@dataclass(frozen=True)
class Output:
    """What a network returns for one image, before post-processing.

    `probability` is that of a lesion for each pixel of the network's grid, uint8 [size, size] in steps of 1/255, and
    `class_probabilities` are those of CLASSES after the fitted temperature, float [3], or [0] without a class head.
    `feature_distance` says how far the image lies from those that the network is for: one in a hundred of these lies
    beyond 1. It is None of a file that does not compute it.
    """

    probability: Grey
    class_probabilities: NDArray[Any]
    feature_distance: float | None = None
