"""Prove an exported file: how far its outputs are from those that it should have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.inference.output import Output
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError

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

    These are the largest differences of two probabilities, and the number of pixels, of all pixels of the native grids,
    whose mask changes.
    """

    def compare(image: Expected) -> tuple[float, float, int, int]:
        outputs = compute(image.grid), image.output
        far = np.abs(outputs[0].probability.astype(int) - outputs[1].probability).max() / 255
        far_classes = np.abs(outputs[0].class_probabilities - outputs[1].class_probabilities).max(initial=0)
        mask, expected = (
            postprocessing.answer_calibrated(image.box.to_native(output.probability), output.class_probabilities).mask
            for output in outputs
        )
        return far, far_classes, np.sum(mask != expected), mask.size

    compared = np.array(list(map_on_all_cores(compare, images, "prove")))
    far, far_classes = compared[:, :2].max(axis=0).round(4).tolist()
    changed, pixels = compared[:, 2:].sum(axis=0).astype(int).tolist()
    return {
        "images": len(compared),
        "probability": far,
        "class_probability": far_classes,
        "mask_pixels_changed": changed,
        "mask_pixels": pixels,
    }


def check(proof: dict[str, dict[str, float]], bound: float) -> None:
    """UserError if two probabilities differ by more than `bound`."""
    for name, figures in proof.items():
        largest = max(figures["probability"], figures["class_probability"])
        if largest > bound:
            raise UserError(
                f"{name}: the exported network's probabilities differ from those of Keras by {largest}, more than "
                f"export.bound ({bound}). Set export.weights to float32; if that is not enough, raise export.bound."
            )
