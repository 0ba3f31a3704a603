"""How sure to be: of an image's class, of there being a lesion, and of the mask."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.pipeline.arrays import Grey, Mask

Knots = tuple[tuple[float, float], ...]


def class_probabilities(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """The probabilities of CLASSES from their logits, both [..., 3]; of [0], a network without classes, [0]."""
    if not logits.size:
        return logits
    # SciPy's softmax is the same, and loading it takes longer than a network's answer.
    powers = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def lesion_chance(probabilities: NDArray[np.float64], probability: Grey) -> float:
    """The chance that an image holds a lesion: by its class probabilities [3], or of [0] by its likeliest pixel."""
    if probabilities.size:
        return float(1 - probabilities[CLASSES.index("normal")])
    return float(probability.max()) / 255


def agreement(probability: Grey, mask: Mask, chance: float) -> float:
    """The Dice that a mask would have if the probabilities, 0 to 255, and the chance of a lesion were right.

    For a mask it is 2·Σ p over the mask / (Σ p + area), times the chance of a lesion; for an empty one the chance that
    there is none.
    """
    if not mask.any():
        return 1 - chance
    expected = probability.sum(dtype=np.float64) / 255
    inside = probability[mask].sum(dtype=np.float64) / 255
    return chance * float(2 * inside / (expected + mask.sum()))


def estimate(agreed: float, knots: Sequence[tuple[float, float]]) -> float:
    """The Dice to be expected of a mask of this agreement, by the knots of a rising line."""
    at, values = zip(*knots, strict=True)
    return float(np.interp(agreed, at, values))
