"""Intervals by bootstrap over groups, since repeats of a frame are one observation, not several.

Groups are drawn with replacement, as many as there are; a statistic is computed from each draw, and the interval holds
the middle of the results (percentile method; Efron & Tibshirani 1993, Field & Welsh, JRSS B 69, 2007).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.pipeline.params import Between, Section

_CHUNK = 2**22


class Intervals(Section):
    """How intervals are drawn."""

    draws: Annotated[int, Field(ge=100)]
    confidence: Between


@dataclass(frozen=True)
class Bootstrap:
    """How many draws, the confidence between 0 and 1, and the seed of the draws."""

    draws: int
    confidence: float
    seed: int

    def mean(self, values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
        """The interval of the mean of values [n], NaN left out, drawn by groups [n]; NaN where no value is left."""
        defined = ~np.isnan(values)
        values, groups = values[defined], np.unique(groups[defined], return_inverse=True)[1]
        if not len(values):
            return np.nan, np.nan
        sums, sizes = np.bincount(groups, values), np.bincount(groups)
        return self._interval(
            np.concatenate([weights @ sums / (weights @ sizes) for weights in self._weights(len(sizes))])
        )

    def auc(
        self, scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.int64]
    ) -> tuple[float, float]:
        """The interval of the area under the ROC curve of scores [n]; draws of one class alone are left out."""
        return self.statistic(lambda weights: weighted_auc(scores, positive, weights), groups)

    def statistic(
        self, compute: Callable[[NDArray[np.float64]], NDArray[np.float64]], groups: NDArray[np.int64]
    ) -> tuple[float, float]:
        """The interval of what `compute` makes [draws] of how often each image is drawn [draws, n], by groups [n]."""
        groups = np.unique(groups, return_inverse=True)[1]
        found = [compute(weights[:, groups].astype(float)) for weights in self._weights(groups.max() + 1)]
        return self._interval(np.concatenate(found))

    def _weights(self, groups: int) -> Iterator[NDArray[np.int64]]:
        """How often each group is drawn, [draws, groups], a few draws at a time to keep memory small."""
        rng = np.random.default_rng(self.seed)
        rows = max(1, _CHUNK // groups)
        for start in range(0, self.draws, rows):
            yield rng.multinomial(groups, np.full(groups, 1 / groups), size=min(rows, self.draws - start))

    def _interval(self, statistics: NDArray[np.float64]) -> tuple[float, float]:
        statistics = statistics[~np.isnan(statistics)]
        if not len(statistics):
            return np.nan, np.nan
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(statistics, [tail, 1 - tail])
        return float(low), float(high)


def weighted_auc(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The area under the ROC curve of scores [n] for each row of weights [draws, n]; ties count half.

    NaN where the positive or the negative ones have no weight.
    """
    levels, inverse = np.unique(scores, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(levels)))
    by_level = [np.add.reduceat((weights * chosen)[:, order], starts, axis=1) for chosen in (positive, ~positive)]
    below = np.cumsum(by_level[1], axis=1) - by_level[1] / 2
    pairs = by_level[0].sum(axis=1) * by_level[1].sum(axis=1)
    won = (by_level[0] * below).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
