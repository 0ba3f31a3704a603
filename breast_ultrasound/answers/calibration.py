"""Calibrated confidence: in an image's class, in its holding a lesion, and in its mask."""

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.pipeline.arrays import Grey, Mask

# Points (soft Dice, predicted Dice) of a rising line, by soft Dice.
DiceCalibration = tuple[tuple[float, float], ...]


def class_probabilities(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities of CLASSES from their logits, both [..., 3]; of [0], a network without classes, [0]."""
    if not logits.size:
        return logits
    # SciPy's softmax is the same, and loading it takes longer than segmenting an image.
    powers = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def image_probability(classes: NDArray[np.float64], probability: Grey) -> float:
    """Return the probability that an image holds a lesion, 0 to 1.

    It comes from the class probabilities [3], or, where these are [0], from the most probable pixel of the uint8 map.
    """
    if classes.size:
        return float(1 - classes[CLASSES.index("normal")])
    return float(probability.max()) / 255


def soft_dice(probability: Grey, mask: Mask, lesion: float) -> float:
    """Return the mean Dice that a mask would have if its probabilities, uint8 of 0 to 255, were right.

    `lesion` is the image-level probability. For a mask the soft Dice is 2·Σ p over the mask / (Σ p + area), times
    `lesion`; for an empty mask it is 1 − `lesion`.
    """
    if not mask.any():
        return 1 - lesion
    expected_area = probability.sum(dtype=np.float64) / 255
    overlap = probability[mask].sum(dtype=np.float64) / 255
    return lesion * float(2 * overlap / (expected_area + mask.sum()))


def predicted_dice(soft: float, calibration: DiceCalibration) -> float:
    """Return the Dice that a mask of this soft Dice is estimated to have.

    >>> predicted_dice(0.5, ((0.25, 0.0), (0.75, 1.0)))
    0.5
    """
    soft_values, dice_values = zip(*calibration, strict=True)
    return float(np.interp(soft, soft_values, dice_values))
