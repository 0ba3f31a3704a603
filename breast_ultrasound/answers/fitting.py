"""Fitting on validation images: the steps of post-processing, the class temperature and the calibration of Dice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, isotonic_regression
from scipy.special import softmax

from breast_ultrasound.answers.calibration import DiceCalibration
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.lesions import MISSED_DICE
from breast_ultrasound.scoring.paired import PairedTest

# The steps that decide which images have a mask, and where it begins; the others give it its shape.
IMAGE_STEPS: tuple[str, ...] = ("image_probability", "threshold")

Score = Callable[[Steps], NDArray[np.float64]]

# Beyond these a temperature makes every class certain, or all classes alike.
_TEMPERATURES = 0.1, 10.0


def utility(dice: NDArray[np.float64], lesion: NDArray[np.bool_], missed_lesion: float) -> NDArray[np.float64]:
    """Return the utility, 0 to 1, of masks [n]: their Dice plus `missed_lesion`, over 1 + `missed_lesion`.

    The bonus `missed_lesion` is withheld where a lesion is missed. Post-processing is fitted by the mean utility, so
    that a missed lesion costs up to 1 + `missed_lesion` times what a mask on a normal image costs.

    >>> utility(np.array([0.9, 0.0]), np.array([True, True]), missed_lesion=1.0)
    array([0.95, 0.  ])
    """
    not_missed = ~lesion | (dice >= MISSED_DICE)
    return (dice + missed_lesion * not_missed) / (1 + missed_lesion)


def fit_steps(
    candidates: Mapping[str, Sequence[Any]], score: Score, groups: NDArray[np.int64], test: PairedTest
) -> Steps:
    """Return the best steps: first a pair of image-level probability and threshold, then the others one at a time.

    `candidates` holds the values to try for each step, `score` returns the utility of each image [n] at any steps, and
    `groups` [n] are what the test swaps. A change is made only where it gains more than noise; see `best_change`.

    >>> values = {"image_probability": (0,), "threshold": (0.5, 0.3, 0.4), "closing": (0, 0.02)}
    >>> test = PairedTest(draws=2000, confidence=0.95, seed=0)
    >>> steps = fit_steps(values, lambda steps: np.full(9, 1 - steps.threshold), np.arange(9), test)
    >>> steps.threshold, steps.closing
    (0.3, 0.0)
    """
    pairs = [dict(zip(IMAGE_STEPS, pair, strict=True)) for pair in product(*(candidates[name] for name in IMAGE_STEPS))]
    others = [{name: value} for name, values in candidates.items() if name not in IMAGE_STEPS for value in values]
    steps = best_change(pairs, Steps(), score, groups, test)
    while (better := best_change(others, steps, score, groups, test)) != steps:
        steps = better
    return steps


def best_change(
    changes: Sequence[Mapping[str, Any]],
    steps: Steps,
    score: Score,
    groups: NDArray[np.int64],
    test: PairedTest,
) -> Steps:
    """Return the steps with the change that gains most of those that gain more than noise, else as they are.

    Noise is judged for all changes at once, so that many of them find a false gain no more often than one.
    """
    changed = [steps, *(replace(steps, **change) for change in changes)]
    gains = np.array([score(each) - score(steps) for each in changed])
    # One-sided: of what the confidence leaves, the half on the side of gains.
    more_than_noise = test.adjusted_p(gains, groups) <= (1 - test.confidence) / 2
    return changed[int(np.argmax(np.where(more_than_noise, gains.sum(axis=1), 0)))]


def fit_temperature(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """Return the temperature that calibrates logits [n, 3] of images of these classes [n]; 1 of logits [n, 0].

    It has the least cross-entropy (Guo et al., ICML 2017, arXiv:1706.04599): there the mean logit of the true classes
    is the one that the probabilities expect. Images of class -1 are left out.
    """
    logits, classes = logits[classes >= 0], classes[classes >= 0]
    if not logits.size:
        return 1.0

    true = logits[np.arange(len(classes)), classes].mean()

    def lack(temperature: float) -> float:
        return true - (softmax(logits / temperature, axis=1) * logits).sum(axis=1).mean()

    # The lack rises with the temperature. Its root has all digits, of which a minimum itself would give half.
    coldest, hottest = _TEMPERATURES
    if lack(coldest) >= 0:
        return coldest
    return round(brentq(lack, coldest, hottest), 4) if lack(hottest) > 0 else hottest


def fit_dice_calibration(soft_dice: NDArray[np.float64], dice: NDArray[np.float64]) -> DiceCalibration:
    """Return the rising map that predicts the Dice [n] of images best from their soft Dice [n], at least one point.

    Isotonic regression (Barlow et al., 1972): the mean Dice of each block, at the mean soft Dice of its images.
    """
    order = np.argsort(soft_dice, kind="stable")
    regression = isotonic_regression(dice[order])
    blocks = zip(regression.blocks[:-1], regression.blocks[1:], strict=True)
    return tuple(
        (round(float(soft_dice[order[start:end]].mean()), 4), round(float(regression.x[start]), 4))
        for start, end in blocks
    )
