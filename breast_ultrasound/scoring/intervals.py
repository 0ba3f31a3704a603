"""Intervals by groups of repeats, since repeats of a frame are one observation, not several.

A score between 0 and 1 has the exact interval of a share (Clopper & Pearson, Biometrika 26, 1934) for an effective
number of groups, as in surveys (Korn & Graubard, Survey Methodology 24, 1998): so many groups, each of them all or
nothing, would have a share that varies as the mean does. They are at least (sum m)² / sum m², of groups with m images
(Kish, Survey Sampling, 1965), and more where groups vary less than all or nothing, as far as there are enough of them
to tell, by Student's t. So an interval keeps a width where all agree, and never leaves 0 to 1. A distance has no upper
end, and the interval of Student's t. benchmarks/interval_coverage.py measures how often each holds the truth.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv, ndtri, stdtrit

from breast_ultrasound.pipeline.params import Between, Section

# The decimals in which figures are kept. They are shown in fewer, which of four could be a rounding of a rounding.
DIGITS = 6

# Scores are kept in six digits: what varies less has not been seen to vary.
_LEAST_VARIANCE = 1e-12

Interval = tuple[float, float]


class Intervals(Section):
    """How sure a figure is said to be, and how many swaps tell whether two runs differ."""

    draws: Annotated[int, Field(ge=100)]
    confidence: Between


def score_interval(values: NDArray[np.float64], groups: NDArray[np.int64], confidence: float) -> Interval:
    """The interval of the mean of scores [n] between 0 and 1, by groups [n]; NaN are left out, NaN if all are."""
    values, groups = _defined(values, groups)
    if not len(values):
        return np.nan, np.nan
    return _share_interval(values.mean(), _variance(values, groups), effective_number(groups), confidence)


def mean_interval(values: NDArray[np.float64], groups: NDArray[np.int64], confidence: float, least: float) -> Interval:
    """The interval of the mean of values [n] of at least `least`, by groups [n]; NaN are left out.

    NaN where there are less than two effective groups, which tell nothing of how values without an upper end vary.
    """
    values, groups = _defined(values, groups)
    number = effective_number(groups)
    if number < 2:
        return np.nan, np.nan
    mean, reach = values.mean(), stdtrit(number - 1, (1 + confidence) / 2) * np.sqrt(_variance(values, groups))
    return max(least, float(mean - reach)), float(mean + reach)


def auc_interval(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.int64], confidence: float
) -> Interval:
    """The interval of the area under the ROC curve of scores [n] of images, positive bool [n] and not, by groups [n].

    The area is the mean share of the others that an image is told from, of the positive images as of the negative ones,
    and varies as both do (DeLong et al., Biometrics 44, 1988); at the most as a share of the rarer kind's groups does
    (Birnbaum & Klose, Annals of Mathematical Statistics 28, 1957).
    """
    kinds = positive, ~positive
    told, ranks = np.empty(len(scores)), rank(scores)
    told[positive] = (ranks[positive] - rank(scores[positive])) / np.count_nonzero(~positive)
    told[~positive] = 1 - (ranks[~positive] - rank(scores[~positive])) / np.count_nonzero(positive)
    variance = sum(_variance(told[kind], groups[kind]) for kind in kinds)
    number = min(effective_number(groups[kind]) for kind in kinds)
    return _share_interval(auc(scores, positive), variance, number, confidence)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve of scores [n] of images, positive bool [n] and not, both there; ties count half.

    It is the Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982).
    """
    ones, zeros = np.count_nonzero(positive), np.count_nonzero(~positive)
    return float((rank(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def rank(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each of the scores [n], from 1 on; equal ones share the mean of theirs."""
    return np.asarray(pd.Series(scores).rank(), np.float64)


def difference_interval(first: float, of_first: Interval, second: float, of_second: Interval) -> Interval:
    """The interval of the second figure less the first, of other images each, from their own intervals.

    It is Newcombe's (Statistics in Medicine 17, 1998) for shares, and as good as the two intervals for any other figure
    (Zou & Donner, Statistics in Medicine 27, 2008).
    """
    low = np.hypot(second - of_second[0], of_first[1] - first)
    high = np.hypot(of_second[1] - second, first - of_first[0])
    return float(second - first - low), float(second - first + high)


def effective_number(groups: NDArray[np.int64]) -> float:
    """How many groups of equal size are worth as much as the groups [n]; 0 of none (Kish 1965)."""
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / max(1, (sizes**2).sum()))


def _defined(values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    defined = ~np.isnan(values)
    return values[defined], groups[defined]


def _variance(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """The variance of the mean of values [n], from how the means of the groups [n] vary; infinite of a single group."""
    number = effective_number(groups)
    if number <= 1:
        return np.inf
    groups = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(groups)
    squares = (np.bincount(groups, values) / sizes - values.mean()) ** 2
    return float(sizes @ squares / sizes.sum() / (number - 1))


def _share_interval(share: float, variance: float, groups: float, confidence: float) -> Interval:
    """The interval of a share, or of a mean between 0 and 1, of this variance, from so many effective groups."""
    tail = (1 - confidence) / 2
    if variance > _LEAST_VARIANCE and groups > 1:
        credit = (ndtri(tail) / stdtrit(groups - 1, tail)) ** 2
        groups = max(groups, credit * share * (1 - share) / variance)
    low = betaincinv(share * groups, (1 - share) * groups + 1, tail) if share > 0 else 0.0
    high = betaincinv(share * groups + 1, (1 - share) * groups, 1 - tail) if share < 1 else 1.0
    return float(low), float(high)
