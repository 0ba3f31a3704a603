"""Fitting on validation images: the steps of post-processing, the class temperature and the calibration of Dice."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import log_softmax

from breast_ultrasound.answers.calibration import DiceCalibration
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.lesions import MISSED_DICE

# The steps that decide which images have a mask, and where it begins; the others give it its shape.
IMAGE_STEPS = "image_probability", "threshold"

# A decision is cross-fitted on so many parts of the images.
PARTS = 5

Score = Callable[[Steps], NDArray[np.float64]]
Search = Callable[[Steps, Score], Steps]
Parts = NDArray[np.int64]
Pays = Callable[[NDArray[np.float64]], bool]

# Beyond these a temperature makes every class certain, or all classes alike.
_LOG_TEMPERATURES = math.log(0.1), math.log(10)


def utility(dice: NDArray[np.float64], lesion: NDArray[np.bool_], missed_lesion: float) -> NDArray[np.float64]:
    """Return the utility, 0 to 1, of masks [n]: their Dice plus `missed_lesion`, over 1 + `missed_lesion`.

    The bonus `missed_lesion` is withheld where a lesion is missed. Post-processing is fitted by the mean utility, so
    that a missed lesion costs up to 1 + `missed_lesion` times what a mask on a normal image costs.

    >>> utility(np.array([0.9, 0.0]), np.array([True, True]), missed_lesion=1.0)
    array([0.95, 0.  ])
    """
    not_missed = ~lesion | (dice >= MISSED_DICE)
    return (dice + missed_lesion * not_missed) / (1 + missed_lesion)


def fit_steps(candidates: Mapping[str, Sequence[Any]], score: Score, parts: Parts, pays: Pays) -> Steps:
    """Return the best steps by two decisions, each made only where its cross-fitted gain pays.

    The first chooses the image-level probability and the threshold together, from all pairs of their `candidates`; the
    second chooses the other steps, one after the other. `score` gives the utility of each image [n], `parts` the part
    that it lies in, and `pays` judges gains [n].
    """
    image = {name: values for name, values in candidates.items() if name in IMAGE_STEPS}
    shape = {name: values for name, values in candidates.items() if name not in IMAGE_STEPS}
    steps = decide(partial(search_jointly, image), Steps(), score, parts, pays)
    return decide(partial(search_in_turn, shape), steps, score, parts, pays)


def decide(search: Search, before: Steps, score: Score, parts: Parts, pays: Pays) -> Steps:
    """Return the steps that `search` chooses on all images [n], or those `before` where its cross-fitted gain is noise.

    For each part the search is made on the other parts and its gain is taken on that part, so that no image has a say
    in its own gain (Stone, Journal of the Royal Statistical Society B 36, 1974).
    """

    def gains(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = search(before, lambda steps: score(steps)[~inside])
        return np.where(inside, score(chosen) - score(before), 0)

    cross_fitted = sum((gains(parts == part) for part in np.unique(parts)), np.zeros(len(parts)))
    return search(before, score) if pays(cross_fitted) else before


def search_jointly(candidates: Mapping[str, Sequence[Any]], before: Steps, score: Score) -> Steps:
    """Return the best of all combinations of candidates, by the sum of the scores; of equals `before`, then the first.

    >>> best = search_jointly({"threshold": (0.5, 0.3, 0.4)}, Steps(), lambda steps: np.array([steps.threshold < 0.5]))
    >>> best.threshold
    0.3
    """
    combinations = (dict(zip(candidates, values, strict=True)) for values in product(*candidates.values()))
    return max([before, *(replace(before, **values) for values in combinations)], key=lambda steps: score(steps).sum())


def search_in_turn(candidates: Mapping[str, Sequence[Any]], before: Steps, score: Score) -> Steps:
    """Return the steps where each in turn has taken the best of its candidates, by the sum of the scores."""
    for name, values in candidates.items():
        before = search_jointly({name: values}, before, score)
    return before


def parts_by_group(groups: NDArray[np.int64], seed: int) -> Parts:
    """Return the part, 0 to 4, that each image [n] lies in; images of one group [n] lie in one part.

    >>> parts = parts_by_group(np.array([7, 8, 8, 9]), seed=0)
    >>> parts[1] == parts[2] != parts[0]
    np.True_
    """
    every, numbers = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(every)) % PARTS)[numbers]


def fit_temperature(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """Return the temperature that calibrates logits [n, 3] of images of these classes [n]; 1 of logits [n, 0].

    It has the least cross-entropy (Guo et al., ICML 2017, arXiv:1706.04599). Images of class -1 are left out.
    """
    logits, classes = logits[classes >= 0], classes[classes >= 0]
    if not logits.size:
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(classes)), classes].mean()

    minimum = minimize_scalar(cross_entropy, bounds=_LOG_TEMPERATURES, method="bounded")
    return round(float(np.exp(minimum.x)), 4)


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
