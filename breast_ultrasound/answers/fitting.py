"""What is fitted on validation images: the steps of post-processing, and how sure to be of class and mask."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import log_softmax

from breast_ultrasound.answers.calibration import Knots
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.lesions import LOST

# Beyond these a temperature makes every class certain, or all alike.
_LOG_TEMPERATURES = math.log(0.1), math.log(10)


def utility(dice: NDArray[np.float64], lesion: NDArray[np.bool_], lost_lesion: float) -> NDArray[np.float64]:
    """What masks [n] are worth, 0 to 1: their Dice, and beside it `lost_lesion` unless a lesion is lost, over the sum.

    Post-processing is fitted by the mean. A lost lesion costs up to 1 + `lost_lesion` times what a mask on an image
    without a lesion does.
    """
    kept = ~lesion | (dice >= LOST)
    return (dice + lost_lesion * kept) / (1 + lost_lesion)


def fit_steps(
    candidates: dict[str, Sequence[Any]],
    score: Callable[[Steps], NDArray[np.float64]],
    pays: Callable[[NDArray[np.float64]], bool],
) -> Steps:
    """The best steps, by two rounds of coordinate ascent from the default.

    Each step in turn takes the one of its `candidates` with the best mean score [n], if what the images gain by it [n]
    `pays`.
    """
    best, reached = Steps(), score(Steps())
    for _ in range(2):
        before = best
        for name, values in candidates.items():
            tried = [replace(best, **{name: value}) for value in values if value != getattr(best, name)]
            if not tried:
                continue
            scores = [score(steps) for steps in tried]
            first = int(np.argmax([found.mean() for found in scores]))
            if scores[first].mean() > reached.mean() and pays(scores[first] - reached):
                best, reached = tried[first], scores[first]
        if best == before:
            break
    return best


def fit_temperature(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """The temperature by which logits [n, 3] of images of these classes [n] are divided to be calibrated; 1 of [n, 0].

    It has the least cross-entropy (Guo et al., ICML 2017, arXiv:1706.04599). Images of class -1 are left out.
    """
    logits, classes = logits[classes >= 0], classes[classes >= 0]
    if not logits.size:
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(classes)), classes].mean()

    found = minimize_scalar(cross_entropy, bounds=_LOG_TEMPERATURES, method="bounded")
    return round(float(np.exp(found.x)), 4)


def fit_estimate(agreements: NDArray[np.float64], dice: NDArray[np.float64]) -> Knots:
    """The rising steps that tell the Dice [n] best from the agreements [n], at least one, as points of a line.

    Isotonic regression (Barlow et al., 1972), the mean of each step at the mean agreement of its images.
    """
    order = np.argsort(agreements, kind="stable")
    fitted = isotonic_regression(dice[order])
    steps = zip(fitted.blocks[:-1], fitted.blocks[1:], strict=True)
    return tuple(
        (round(float(agreements[order[start:end]].mean()), 4), round(float(fitted.x[start]), 4)) for start, end in steps
    )
