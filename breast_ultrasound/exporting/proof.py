"""Prove an exported file: how far its outputs are from those that it should have."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.inference.output import Output
from breast_ultrasound.network.names import CLASS_PROBABILITY, FEATURE_DISTANCE, PROBABILITY
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError

_OUTPUTS = (PROBABILITY, CLASS_PROBABILITY, FEATURE_DISTANCE)

# From an image on the grid, uint8 [size, size], to the output of a file.
Compute = Callable[[Grey], Output]


@dataclass(frozen=True)
class Expected:
    """A test image on the grid, uint8 [size, size], its letterbox, and the output that a file should have for it."""

    grid: Grey
    box: Letterbox
    output: Output


def differences(compute: Compute, images: Iterable[Expected], postprocessing: Postprocessing) -> dict[str, float]:
    """Return how far a file's outputs are from those expected.

    These are the largest difference of each output, and the number of pixels, of all pixels of the native grids, whose
    mask changes.
    """

    def compare(image: Expected) -> dict[str, float]:
        outputs = compute(image.grid), image.output
        mask, expected = (
            postprocessing.answer_calibrated(image.box.to_native(output.probability), output.class_probabilities).mask
            for output in outputs
        )
        return {
            PROBABILITY: _difference(*(output.probability / 255 for output in outputs)),
            CLASS_PROBABILITY: _difference(*(output.class_probabilities for output in outputs)),
            FEATURE_DISTANCE: _difference(*map(_distances, outputs)),
            "mask_pixels_changed": int(np.sum(mask != expected)),
            "mask_pixels": mask.size,
        }

    compared = list(map_on_all_cores(compare, images, "prove"))
    largest = {name: round(max(of_image[name] for of_image in compared), 4) for name in _OUTPUTS}
    totals = {name: sum(of_image[name] for of_image in compared) for name in ("mask_pixels_changed", "mask_pixels")}
    return {"images": len(compared), **largest, **totals}


def _distances(output: Output) -> NDArray[np.float64]:
    return np.array([] if output.feature_distance is None else [output.feature_distance])


def _difference(computed: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference: 0 of empty arrays, infinity where one array alone is empty or holds a NaN."""
    if computed.shape != expected.shape:
        return math.inf
    largest = float(np.abs(computed - expected).max(initial=0))
    return largest if math.isfinite(largest) else math.inf


def check(proof: dict[str, dict[str, float]], bound: float) -> None:
    """UserError if an output differs by more than `bound`."""
    for name, figures in proof.items():
        output = max(_OUTPUTS, key=lambda output: figures[output])
        if figures[output] > bound:
            raise UserError(
                f"{name}: {output} of the exported network differs from that of Keras by {figures[output]}, more than "
                f"export.bound ({bound}). Set export.weights to float32; if that is not enough, raise export.bound."
            )
