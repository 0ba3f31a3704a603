"""Simulate how often the intervals hold the truth, and how often the paired test gives a false alarm.

Draws 400 test sets a row and prints Markdown tables, in about a minute on one core. Groups hold one image each; with
"near-duplicates" half of them hold one and the others two, three or six with the same score, which is as much as
near-duplicates can do. Beside the pipeline's intervals stand the percentile bootstrap over groups and, for shares, the
interval of Wilson (JASA 22, 1927) with Kish's effective number of groups. All are meant to hold the truth in 95 of 100,
and the test to give a false alarm in 5 of 100 at the most.

    uv run python benchmarks/interval_coverage.py
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from breast_ultrasound.scoring.intervals import Interval, auc_interval, effective_number, mean_interval, score_interval
from breast_ultrasound.scoring.paired import PairedTest

CONFIDENCE = 0.95
DRAWS = 300
SHARES = (0.5, 0.8, 0.95)
GROUPS = (4, 10, 27, 100)

Values = NDArray[np.float64]
Groups = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], Values]


def share(truth: float) -> Draw:
    """Return a draw of ones and zeros, with a share `truth` of ones."""
    return lambda rng, size: (rng.random(size) < truth).astype(float)


def dice_with_misses(rng: np.random.Generator, size: int) -> Values:
    """Draw the Dice of lesions as on BUSI: 0.68 on average, 18 of 100 missed."""
    return rng.beta(8, 1.65, size) * (rng.random(size) > 0.18)


def dice_without_misses(rng: np.random.Generator, size: int) -> Values:
    """Draw the Dice of lesions of which none is missed, 0.94 on average."""
    return rng.beta(30, 2, size)


def distance(rng: np.random.Generator, size: int) -> Values:
    """Draw distances, many small and a few large ones, 50 pixels on average."""
    return rng.lognormal(np.log(50) - 0.5, 1, size)


def in_groups(rng: np.random.Generator, values: Values, sizes: tuple[int, ...]) -> tuple[Values, Groups]:
    """Give each value to a group of images, as large as one of `sizes`; return values and groups of the images."""
    groups = np.repeat(np.arange(len(values)), rng.choice(sizes, len(values)))
    return values[groups], groups


SIZES = {"none": (1,), "near-duplicates": (1, 1, 1, 2, 3, 6)}


def bootstrap_mean(values: Values, groups: Groups) -> Interval:
    """Return the percentile interval of a mean, by drawing groups."""
    weights = drawn(groups)
    return middle(weights @ values / weights.sum(axis=1))


def bootstrap_auc(scores: Values, positive: NDArray[np.bool_], groups: Groups) -> Interval:
    """Return the percentile interval of the area under the ROC curve, by drawing groups that hold both kinds."""
    ones, zeros = (drawn(groups)[:, kind] for kind in (positive, ~positive))
    won = ((ones @ np.heaviside(scores[positive][:, None] - scores[~positive], 0.5)) * zeros).sum(axis=1)
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    return middle(won[pairs > 0] / pairs[pairs > 0])


def drawn(groups: Groups) -> NDArray[np.int64]:
    """Draw groups; return how often each image is drawn with the others of its group, [draws, n]."""
    number = groups.max() + 1
    return np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), DRAWS)[:, groups]


def middle(statistics: Values) -> Interval:
    """Return the interval that holds the middle of some statistics."""
    low, high = np.quantile(statistics, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def wilson(values: Values, groups: Groups) -> Interval:
    """Return Wilson's interval of a share, with Kish's effective number of groups."""
    mean, number, quantile = values.mean(), effective_number(groups), norm.ppf((1 + CONFIDENCE) / 2)
    centre = mean + quantile**2 / (2 * number)
    reach = quantile * np.sqrt(mean * (1 - mean) / number + quantile**2 / (4 * number**2))
    return tuple((centre + side * reach) / (1 + quantile**2 / number) for side in (-1, 1))


def coverage(
    methods: Iterable[Callable[..., Interval]],
    draw: Callable[[np.random.Generator], tuple[Any, ...]],
    truth: float,
    repetitions: int,
) -> list[float]:
    """Return the share of so many data sets in which the interval of each method holds the truth."""
    rng, methods = np.random.default_rng(0), list(methods)
    held = np.zeros(len(methods))
    for _ in range(repetitions):
        data = draw(rng)
        intervals = [method(*data) for method in methods]
        held += [low - 1e-9 <= truth <= high + 1e-9 for low, high in intervals]
    return (held / repetitions).tolist()


def new_score(values: Values, groups: Groups) -> Interval:
    """Return the pipeline's interval of a score between 0 and 1."""
    return score_interval(values, groups, CONFIDENCE)


def new_distance(values: Values, groups: Groups) -> Interval:
    """Return the pipeline's interval of a distance."""
    return mean_interval(values, groups, CONFIDENCE, least=0)


def new_auc(scores: Values, positive: NDArray[np.bool_], groups: Groups) -> Interval:
    """Return the pipeline's interval of an area under the ROC curve."""
    return auc_interval(scores, positive, groups, CONFIDENCE)


def scored_groups(draw: Draw, groups: int, duplicates: str) -> Callable[[np.random.Generator], tuple[Values, Groups]]:
    """Return a draw of data sets of so many groups, a value each."""
    return lambda rng: in_groups(rng, draw(rng, groups), SIZES[duplicates])


def area(gap: float) -> float:
    """Return the area under the ROC curve of normal scores whose means differ by `gap`."""
    return float(norm.cdf(gap / np.sqrt(2)))


def two_kinds(
    gap: float, lesions: int, normals: int, duplicates: str
) -> Callable[[np.random.Generator], tuple[Values, NDArray[np.bool_], Groups]]:
    """Return a draw of data sets with normal scores, those of lesions higher by `gap` on average."""

    def draw(rng: np.random.Generator) -> tuple[Values, NDArray[np.bool_], Groups]:
        positive = np.arange(lesions + normals) < lesions
        scores, groups = in_groups(rng, rng.normal(gap * positive), SIZES[duplicates])
        return scores, positive[groups], groups

    return draw


# Differences of two runs of which neither is better, as shares of a Dice.
NO_DIFFERENCE: dict[str, Draw] = {
    "1 in 10 images flips": lambda rng, size: rng.choice([-1.0, 0.0, 1.0], size, p=[0.05, 0.9, 0.05]),
    "all change a little": lambda rng, size: rng.normal(0, 0.1, size),
    "1 in 10 changes, few much": lambda rng, size: (
        (rng.random(size) < 0.1) * rng.choice([-1, 1], size) * rng.beta(0.5, 2, size)
    ),
    "all change, few much": lambda rng, size: (0.05 * rng.standard_t(2, size)).clip(-1, 1),
}


def false_alarms(draw: Draw, groups: int, duplicates: str, repetitions: int) -> list[float]:
    """Return how often the bootstrap's interval and the paired test see a difference of two equal runs."""
    rng, test, alarms = np.random.default_rng(0), PairedTest(500, CONFIDENCE, seed=0), np.zeros(2)
    for _ in range(repetitions):
        differences, index = in_groups(rng, draw(rng, groups), SIZES[duplicates])
        low, high = bootstrap_mean(differences, index)
        alarms += [low > 0 or high < 0, test.mean(differences, index).verdict == "more than noise"]
    return (alarms / repetitions).tolist()


def table(title: str, columns: str, rows: Iterable[tuple[str, list[float]]]) -> None:
    """Print a Markdown table of percentages."""
    print(f"\n### {title}\n\n| {columns} |\n|{' --- |' * (columns.count('|') + 1)}")
    for name, shares in rows:
        print(f"| {name} |" + "".join(f" {100 * share:.0f} |" for share in shares), flush=True)


def main(repetitions: int = 400) -> None:
    """Measure everything."""
    settings = [(duplicates, groups) for duplicates in SIZES for groups in GROUPS]
    table(
        "Shares: % of intervals that hold the truth",
        "near-duplicates | groups | true share | bootstrap | Wilson | here",
        (
            (
                f"{duplicates} | {groups} | {truth}",
                coverage(methods, scored_groups(share(truth), groups, duplicates), truth, repetitions),
            )
            for methods in [(bootstrap_mean, wilson, new_score)]
            for duplicates, groups in settings
            for truth in SHARES
        ),
    )
    means: dict[str, tuple[Draw, float, Callable[..., Interval]]] = {
        "Dice, lesions missed": (dice_with_misses, 0.82 * 8 / 9.65, new_score),
        "Dice, none missed": (dice_without_misses, 30 / 32, new_score),
        "distance": (distance, 50, new_distance),
    }
    table(
        "Means: % of intervals that hold the truth",
        "mean of | near-duplicates | groups | bootstrap | here",
        (
            (
                f"{name} | {duplicates} | {groups}",
                coverage([bootstrap_mean, new], scored_groups(draw, groups, duplicates), truth, repetitions),
            )
            for name, (draw, truth, new) in means.items()
            for duplicates, groups in settings
        ),
    )
    table(
        "Area under the ROC curve: % of intervals that hold the truth",
        "true area | near-duplicates | groups of lesions, normals | bootstrap | here",
        (
            (
                f"{area(gap):.2f} | {duplicates} | {lesions}, {normals}",
                coverage(
                    [bootstrap_auc, new_auc], two_kinds(gap, lesions, normals, duplicates), area(gap), repetitions
                ),
            )
            for gap in (1.5, 3.0)
            for duplicates in SIZES
            for lesions, normals in ((20, 4), (104, 25))
        ),
    )
    table(
        "Two equal runs: % of false alarms",
        "change | near-duplicates | groups | bootstrap | here",
        (
            (f"{name} | {duplicates} | {groups}", false_alarms(draw, groups, duplicates, repetitions))
            for name, draw in NO_DIFFERENCE.items()
            for duplicates, groups in settings
            if groups > 4
        ),
    )


if __name__ == "__main__":
    main()
