"""Whether two runs on the same images differ by more than noise.

If they don't, each group of repeated frames might as well have had its two results the other way round. So groups
change places, and p is the share of these swaps that part the runs at least as far as was seen: of every swap where
there are few, else of a random sample with what was seen among it (Fisher, The Design of Experiments, 1935; Phipson &
Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010). For yes and no in groups of one image, such
as which are clean, it is the exact test of McNemar.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from breast_ultrasound.scoring.intervals import rank

_CHUNK = 2**22
# Far below any score's last digit, far above what the order of a sum changes.
_TIE = 1e-12


@dataclass(frozen=True)
class Difference:
    """A figure of the second run less the first's, an interval, p and the verdict in words.

    The interval is the difference, give or take what the share of swaps that the confidence names stays within; it
    leaves out 0 where p is at most 1 less the confidence.
    """

    value: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True)
class PairedTest:
    """How many swaps are tried at the most, the confidence between 0 and 1, and the seed of the swaps."""

    draws: int
    confidence: float
    seed: int

    def mean(self, differences: NDArray[np.float64], groups: NDArray[np.int64]) -> Difference:
        """Test the mean of differences [n] of scores between 0 and 1, second less first, by groups [n]; n is not 0."""
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], differences)
        sums = sums[np.abs(sums) > _TIE]
        reached = [sums.sum() - 2 * (swapped @ sums) for swapped in self._swaps(len(sums), len(sums))]
        return self._judge(np.concatenate(reached) / len(differences), len(sums))

    def auc(
        self,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        positive: NDArray[np.bool_],
        groups: NDArray[np.int64],
    ) -> Difference:
        """Test the areas under the ROC curve of two runs' scores [n], positive bool [n] and not, by groups [n].

        The runs exchange ranks, since their scores may be on different scales (Bandos et al., Statistics in Medicine
        24, 2005).
        """
        changed = len(np.unique(groups[first != second]))
        groups = np.unique(groups, return_inverse=True)[1]
        ranks = np.unique(np.stack([rank(first), rank(second)]), return_inverse=True)[1]
        shape = int(groups.max()) + 1, int(ranks.max()) + 1
        counts = [[_count(run[kind], groups[kind], shape) for run in ranks] for kind in (positive, ~positive)]
        reached = []
        for swapped in self._swaps(*shape):
            one = [mine.sum(axis=0) + swapped @ (other - mine) for mine, other in counts]
            two = [mine.sum(axis=0) + swapped @ (other - mine) for other, mine in counts]
            reached.append(_area(*two) - _area(*one))
        return self._judge(np.concatenate(reached), changed)

    def _swaps(self, groups: int, width: int) -> Iterator[NDArray[np.bool_]]:
        """Which groups change places, bool [rows, groups], a few rows at a time; in the very first none do."""
        rng, every = np.random.default_rng(self.seed), 2**groups <= self.draws
        total, rows = 2**groups if every else self.draws, max(1, _CHUNK // max(1, width))
        for start in range(0, total, rows):
            numbers = np.arange(start, min(start + rows, total))[:, None]
            if every:
                yield (numbers >> np.arange(groups)) % 2 == 1
            else:
                yield rng.integers(0, 2, (len(numbers), groups), dtype=np.bool_) & (numbers > 0)

    def _judge(self, reached: NDArray[np.float64], changed: int) -> Difference:
        """Judge the first of the differences reached [swaps], the one that was seen, of so many changed groups."""
        seen, rare = float(reached[0]), 1 - self.confidence
        p = float(np.mean(np.abs(reached) >= abs(seen) - _TIE))
        reach = float(np.quantile(np.abs(reached), self.confidence, method="inverted_cdf"))
        verdict = "more than noise" if p <= rare else "within noise"
        if not changed:
            verdict = "the same"
        # The least p that so many groups can have.
        elif 2.0 ** (1 - changed) > rare:
            verdict = "too few changes to tell"
        return Difference(seen, max(-1.0, seen - reach), min(1.0, seen + reach), p, verdict)


def _count(ranks: NDArray[np.int64], groups: NDArray[np.int64], shape: tuple[int, int]) -> csr_array[np.float64]:
    """How many images [n] each group has at each rank, [groups, ranks]."""
    return coo_array((np.ones(len(ranks)), (groups, ranks)), shape=shape).tocsr()


def _area(ones: NDArray[np.float64], zeros: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area under the ROC curve [rows] of so many positive and negative images at each rank, [rows, ranks]."""
    won = (ones * (zeros.cumsum(axis=1) - zeros / 2)).sum(axis=1)
    return won / (ones.sum(axis=1) * zeros.sum(axis=1))
