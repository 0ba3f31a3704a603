"""The paired permutation test: whether two runs on the same images differ by more than noise.

If they do not, each group of images might as well have had the results of the two runs exchanged. So the groups swap
their results in every possible way, and p is the share of swaps whose difference is at least as large as the observed
one. Where there are too many swaps, a random sample is taken, with the observed difference in it (Fisher, The Design of
Experiments, 1935; Phipson & Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010). For outcomes of
yes and no in groups of one image it is the exact test of McNemar.

Where the best of several candidates is taken, noise has as many chances to look like a gain. So all of them swap at
once, and each gain is held against the largest one of every swap (max-T: Westfall & Young, Resampling-Based Multiple
Testing, 1993).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from breast_ultrasound.scoring.intervals import rank

_CHUNK = 2**22
# Far below the last digit of any score, far above what the order of a sum changes.
_TIE = 1e-12

MORE_THAN_NOISE = "more than noise"


@dataclass(frozen=True)
class Difference:
    """A figure of the second run minus that of the first, its interval, p, and the verdict in words.

    The interval reaches to either side of the difference as far as the swapped differences do, at the given confidence.
    It leaves out 0 exactly where p is at most 1 − confidence.
    """

    value: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True)
class PairedTest:
    """The test with at most `draws` swaps of groups, drawn by `seed`, at a confidence between 0 and 1.

    >>> gains = np.array([0.1, 0.2, 0.1, 0.3, 0.1, 0.2])
    >>> result = PairedTest(draws=2000, confidence=0.95, seed=0).mean(gains, groups=np.arange(6))
    >>> result.p, result.verdict
    (0.03125, 'more than noise')
    """

    draws: int
    confidence: float
    seed: int

    def mean(self, differences: NDArray[np.float64], groups: NDArray[np.int64]) -> Difference:
        """Test the mean of differences [n], second minus first, of scores from 0 to 1, by groups [n]; n is not 0."""
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], differences)
        sums = sums[np.abs(sums) > _TIE]
        swapped_sums = [sums.sum() - 2 * (swaps @ sums) for swaps in self._swaps(len(sums), len(sums))]
        return self._judge(np.concatenate(swapped_sums) / len(differences), len(sums))

    def auc(
        self,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        positive: NDArray[np.bool_],
        groups: NDArray[np.int64],
    ) -> Difference:
        """Test the difference of the areas under the ROC curve of two runs, of scores [n], by groups [n].

        `positive`, bool [n], marks the positive images; both kinds must be present. The runs swap ranks, since
        their scores may have different scales (Bandos et al., Statistics in Medicine 24, 2005).
        """
        changed = len(np.unique(groups[first != second]))
        groups = np.unique(groups, return_inverse=True)[1]
        ranks = np.unique(np.stack([rank(first), rank(second)]), return_inverse=True)[1]
        shape = int(groups.max()) + 1, int(ranks.max()) + 1
        counts = [[_count(run[kind], groups[kind], shape) for run in ranks] for kind in (positive, ~positive)]
        differences = []
        for swaps in self._swaps(*shape):
            one = [mine.sum(axis=0) + swaps @ (other - mine) for mine, other in counts]
            two = [mine.sum(axis=0) + swaps @ (other - mine) for other, mine in counts]
            differences.append(_area(*two) - _area(*one))
        return self._judge(np.concatenate(differences), changed)

    def adjusted_p(self, gains: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the one-sided p of each candidate's mean gain, adjusted for the choice among all candidates.

        `gains` [candidates, n] are over one score of each image, by groups [n]; n is not 0. p is 1 where the mean gain
        is not above 0.

        >>> gains = np.array([[0.1, 0.2, 0.1, 0.3, 0.1, 0.2], [0.1, -0.1, 0.2, -0.2, 0.1, 0.0], [-0.1] * 6])
        >>> PairedTest(draws=2000, confidence=0.95, seed=0).adjusted_p(gains, groups=np.arange(6))
        array([0.03125 , 0.953125, 1.      ])
        """
        numbers = np.unique(groups, return_inverse=True)[1]
        sums = np.array([np.bincount(numbers, gain) for gain in gains])
        sums[np.abs(sums) <= _TIE] = 0
        # Standardised, or the noisiest candidate would hide the others. Swaps leave the sum of squares as it is.
        sums /= np.sqrt((sums**2).sum(axis=1, keepdims=True)) + _TIE
        totals, groups_in_all = sums.sum(axis=1), sums.shape[1]
        swapped_totals = (totals - 2 * (swaps @ sums.T) for swaps in self._swaps(groups_in_all, groups_in_all))
        largest = np.concatenate([each.max(axis=1, initial=0) for each in swapped_totals])
        return np.mean(largest[:, None] >= totals - _TIE, axis=0)

    def _swaps(self, groups: int, width: int) -> Iterator[NDArray[np.bool_]]:
        """Yield which groups swap, bool [rows, groups], some rows at a time; in the very first row none does."""
        rng, every = np.random.default_rng(self.seed), 2**groups <= self.draws
        total, rows = 2**groups if every else self.draws, max(1, _CHUNK // max(1, width))
        for start in range(0, total, rows):
            numbers = np.arange(start, min(start + rows, total))[:, None]
            if every:
                yield (numbers >> np.arange(groups)) % 2 == 1
            else:
                yield rng.integers(0, 2, (len(numbers), groups), dtype=np.bool_) & (numbers > 0)

    def _judge(self, differences: NDArray[np.float64], changed: int) -> Difference:
        """Judge the first, observed one of the differences [swaps] by all of them; `changed` groups differ at all."""
        observed, level = float(differences[0]), 1 - self.confidence
        p = float(np.mean(np.abs(differences) >= abs(observed) - _TIE))
        reach = float(np.quantile(np.abs(differences), self.confidence, method="inverted_cdf"))
        verdict = MORE_THAN_NOISE if p <= level else "within noise"
        if abs(observed) <= _TIE:
            verdict = "the same"
        # Even if all changed groups gained, p would be no less than this.
        elif 2.0 ** (1 - changed) > level:
            verdict = "too few changes to tell"
        return Difference(observed, max(-1.0, observed - reach), min(1.0, observed + reach), p, verdict)


def _count(ranks: NDArray[np.int64], groups: NDArray[np.int64], shape: tuple[int, int]) -> csr_array[np.float64]:
    """Count the images [n] of each group at each rank, [groups, ranks]."""
    return coo_array((np.ones(len(ranks)), (groups, ranks)), shape=shape).tocsr()


def _area(ones: NDArray[np.float64], zeros: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas under the ROC curve [rows] of counts of positive and negative images by rank, [rows, ranks]."""
    won = (ones * (zeros.cumsum(axis=1) - zeros / 2)).sum(axis=1)
    return won / (ones.sum(axis=1) * zeros.sum(axis=1))
