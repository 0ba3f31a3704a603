"""Intervals by groups, since near-duplicates of a frame are one observation, not several.

A score between 0 and 1 gets the exact interval of a share (Clopper & Pearson, Biometrika 26, 1934) for an effective
number of groups, as in surveys (Korn & Graubard, Survey Methodology 24, 1998): a share of that many groups, each of
them all or nothing, would vary as the mean does. The number is at least (sum m)² / sum m², of groups with m images
(Kish, Survey Sampling, 1965). It is larger where groups vary less than all or nothing, as far as Student's t allows for
so few groups. So an interval keeps a width where all images agree, and never leaves 0 to 1. A distance has no upper
end, and gets the interval of Student's t. benchmarks/interval_coverage.py measures how often each holds the truth.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv, ndtri, stdtrit

from breast_ultrasound.pipeline.params import Between, Section

# The decimals of figures in files. Pages print fewer, and rounding a figure of four decimals twice could be wrong.
DIGITS = 6

# Scores are kept in six digits, so that a smaller variance is none.
_LEAST_VARIANCE = 1e-12

Interval = tuple[float, float]


class Intervals(Section):
    """The confidence of intervals and tests, and the number of swaps of a paired test."""

    draws: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Between


def score_interval(values: NDArray[np.float64], groups: NDArray[np.int64], confidence: float) -> Interval:
    """Return the interval of the mean of scores [n] between 0 and 1, by groups [n].

    Undefined scores, NaN, are left out; both ends are NaN where all are.

    >>> low, high = score_interval(np.ones(4), np.arange(4), confidence=0.95)
    >>> round(low, 3), high
    (0.398, 1.0)
    """
    values, groups = _defined(values, groups)
    if not len(values):
        return np.nan, np.nan
    return _share_interval(values.mean(), _variance(values, groups), effective_number(groups), confidence)


def mean_interval(values: NDArray[np.float64], groups: NDArray[np.int64], confidence: float, least: float) -> Interval:
    """Return the interval of the mean of values [n] without an upper end but of at least `least`, by groups [n].

    Undefined values, NaN, are left out; both ends are NaN where fewer than two effective groups are left, which is too
    few for a variance.
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
    """Return the interval of the area under the ROC curve of scores [n], `positive` bool [n] and not, by groups [n].

    Each image has a placement: the share of images of the other kind that it is ranked rightly against. The area is the
    mean placement of the positive images, as of the negative ones, and its variance is the sum of theirs (DeLong et
    al., Biometrics 44, 1988), at most that of a share of the rarer kind's groups (Birnbaum & Klose, Annals of
    Mathematical Statistics 28, 1957).
    """
    kinds = positive, ~positive
    placement, ranks = np.empty(len(scores)), rank(scores)
    placement[positive] = (ranks[positive] - rank(scores[positive])) / np.count_nonzero(~positive)
    placement[~positive] = 1 - (ranks[~positive] - rank(scores[~positive])) / np.count_nonzero(positive)
    variance = sum(_variance(placement[kind], groups[kind]) for kind in kinds)
    number = min(effective_number(groups[kind]) for kind in kinds)
    return _share_interval(auc(scores, positive), variance, number, confidence)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of scores [n], `positive` bool [n] and not; both kinds must be present.

    It is the Mann-Whitney statistic, in which ties count half (Hanley & McNeil, Radiology 143, 1982).
    """
    ones, zeros = np.count_nonzero(positive), np.count_nonzero(~positive)
    return float((rank(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def rank(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each of the scores [n], from 1 on; equal scores share their mean rank."""
    return np.asarray(pd.Series(scores).rank(), np.float64)


def difference_interval(first: float, first_ends: Interval, second: float, second_ends: Interval) -> Interval:
    """Return the interval of the second figure minus the first, of independent images, from their own intervals.

    For shares it is Newcombe's (Statistics in Medicine 17, 1998); for other figures it is as good as their own
    intervals (Zou & Donner, Statistics in Medicine 27, 2008).
    """
    low = np.hypot(second - second_ends[0], first_ends[1] - first)
    high = np.hypot(second_ends[1] - second, first - first_ends[0])
    return float(second - first - low), float(second - first + high)


def effective_number(groups: NDArray[np.int64]) -> float:
    """Return the number of equal groups whose mean varies as much as that of the groups [n]; 0 of none (Kish 1965)."""
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / max(1, (sizes**2).sum()))


def _defined(values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    defined = ~np.isnan(values)
    return values[defined], groups[defined]


def _variance(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Return the variance of the mean of values [n] by that of the means of the groups [n]; infinite of one group."""
    number = effective_number(groups)
    if number <= 1:
        return np.inf
    groups = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(groups)
    squares = (np.bincount(groups, values) / sizes - values.mean()) ** 2
    return float(sizes @ squares / sizes.sum() / (number - 1))


def _share_interval(share: float, variance: float, groups: float, confidence: float) -> Interval:
    """Return the interval of a share, or a mean between 0 and 1, with this variance and number of effective groups."""
    tail = (1 - confidence) / 2
    if variance > _LEAST_VARIANCE and groups > 1:
        credit = (ndtri(tail) / stdtrit(groups - 1, tail)) ** 2
        groups = max(groups, credit * share * (1 - share) / variance)
    low = betaincinv(share * groups, (1 - share) * groups + 1, tail) if share > 0 else 0.0
    high = betaincinv(share * groups + 1, (1 - share) * groups, 1 - tail) if share < 1 else 1.0
    return float(low), float(high)
