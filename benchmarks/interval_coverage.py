"""How often the intervals hold the truth, and how often the paired test gives a false alarm, by simulation.

    uv run python benchmarks/interval_coverage.py

Draws 400 test sets a row and prints Markdown tables, in about a minute on one core. Groups hold one image each, or
"repeats": half of them one and the others two, three or six with the same score, which is as much as repeats can do.
Beside what scoring does stand the percentile bootstrap over groups and, for shares, the interval of Wilson (JASA
22, 1927) with Kish's effective number of groups. All are meant to hold the truth in 95 of 100, and the test to give a
false alarm in 5 of 100 at the most.
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
    """Yes or no, as often as `truth`."""
    return lambda rng, size: (rng.random(size) < truth).astype(float)


def dice_with_misses(rng: np.random.Generator, size: int) -> Values:
    """Dice of lesions as on BUSI: 0.68 on average, 18 of 100 missed."""
    return rng.beta(8, 1.65, size) * (rng.random(size) > 0.18)


def dice_without_misses(rng: np.random.Generator, size: int) -> Values:
    """Dice of lesions that are all found, 0.94 on average."""
    return rng.beta(30, 2, size)


def distance(rng: np.random.Generator, size: int) -> Values:
    """Distances of many small and a few large ones, 50 pixels on average."""
    return rng.lognormal(np.log(50) - 0.5, 1, size)


def in_groups(rng: np.random.Generator, values: Values, sizes: tuple[int, ...]) -> tuple[Values, Groups]:
    """The images of groups with one value each, a group being as large as one of `sizes`."""
    groups = np.repeat(np.arange(len(values)), rng.choice(sizes, len(values)))
    return values[groups], groups


SIZES = {"none": (1,), "repeats": (1, 1, 1, 2, 3, 6)}


def bootstrap_mean(values: Values, groups: Groups) -> Interval:
    """The percentile interval of a mean, by drawing groups."""
    weights = drawn(groups)
    return middle(weights @ values / weights.sum(axis=1))


def bootstrap_auc(scores: Values, positive: NDArray[np.bool_], groups: Groups) -> Interval:
    """The percentile interval of the area under the ROC curve, by drawing groups; draws of one kind are left out."""
    ones, zeros = (drawn(groups)[:, kind] for kind in (positive, ~positive))
    won = ((ones @ np.heaviside(scores[positive][:, None] - scores[~positive], 0.5)) * zeros).sum(axis=1)
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    return middle(won[pairs > 0] / pairs[pairs > 0])


def drawn(groups: Groups) -> NDArray[np.int64]:
    """How often each image is drawn, [draws, n], with the others of its group."""
    number = groups.max() + 1
    return np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), DRAWS)[:, groups]


def middle(statistics: Values) -> Interval:
    """The middle of what was drawn."""
    low, high = np.quantile(statistics, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def wilson(values: Values, groups: Groups) -> Interval:
    """Wilson's interval of a share, with Kish's effective number of groups."""
    found, number, quantile = values.mean(), effective_number(groups), norm.ppf((1 + CONFIDENCE) / 2)
    centre = found + quantile**2 / (2 * number)
    reach = quantile * np.sqrt(found * (1 - found) / number + quantile**2 / (4 * number**2))
    return tuple((centre + side * reach) / (1 + quantile**2 / number) for side in (-1, 1))


def coverage(
    methods: Iterable[Callable[..., Interval]],
    draw: Callable[[np.random.Generator], tuple[Any, ...]],
    truth: float,
    repetitions: int,
) -> list[float]:
    """How often the interval of each method holds the truth, as a share of so many data sets."""
    rng, methods = np.random.default_rng(0), list(methods)
    held = np.zeros(len(methods))
    for _ in range(repetitions):
        data = draw(rng)
        intervals = [method(*data) for method in methods]
        held += [low - 1e-9 <= truth <= high + 1e-9 for low, high in intervals]
    return (held / repetitions).tolist()


def new_score(values: Values, groups: Groups) -> Interval:
    """The interval of a score between 0 and 1 that the pipeline gives."""
    return score_interval(values, groups, CONFIDENCE)


def new_distance(values: Values, groups: Groups) -> Interval:
    """The interval of a distance that the pipeline gives."""
    return mean_interval(values, groups, CONFIDENCE, least=0)


def new_auc(scores: Values, positive: NDArray[np.bool_], groups: Groups) -> Interval:
    """The interval of an area under the ROC curve that the pipeline gives."""
    return auc_interval(scores, positive, groups, CONFIDENCE)


def coverage_of_mean(
    methods: Iterable[Callable[..., Interval]], draw: Draw, truth: float, groups: int, repeats: str, repetitions: int
) -> list[float]:
    """How often the interval of a mean holds the truth, by method."""
    return coverage(methods, lambda rng: in_groups(rng, draw(rng, groups), SIZES[repeats]), truth, repetitions)


def coverage_of_auc(
    methods: Iterable[Callable[..., Interval]], gap: float, lesions: int, normals: int, repeats: str, repetitions: int
) -> list[float]:
    """How often the interval of an area under the ROC curve of normal scores holds the truth, by method."""

    def draw(rng: np.random.Generator) -> tuple[Values, NDArray[np.bool_], Groups]:
        positive = np.arange(lesions + normals) < lesions
        scores, groups = in_groups(rng, rng.normal(gap * positive), SIZES[repeats])
        return scores, positive[groups], groups

    return coverage(methods, draw, float(norm.cdf(gap / np.sqrt(2))), repetitions)


# Differences of two runs of which neither is better, as shares of a Dice.
NO_DIFFERENCE: dict[str, Draw] = {
    "1 in 10 images flips": lambda rng, size: rng.choice([-1.0, 0.0, 1.0], size, p=[0.05, 0.9, 0.05]),
    "all change a little": lambda rng, size: rng.normal(0, 0.1, size),
    "1 in 10 changes, few much": lambda rng, size: (
        (rng.random(size) < 0.1) * rng.choice([-1, 1], size) * rng.beta(0.5, 2, size)
    ),
    "all change, few much": lambda rng, size: (0.05 * rng.standard_t(2, size)).clip(-1, 1),
}


def false_alarms(draw: Draw, groups: int, repeats: str, repetitions: int) -> list[float]:
    """How often two equal runs are told apart by the bootstrap's interval, and by the paired test."""
    rng, test, alarms = np.random.default_rng(0), PairedTest(500, CONFIDENCE, seed=0), np.zeros(2)
    for _ in range(repetitions):
        differences, index = in_groups(rng, draw(rng, groups), SIZES[repeats])
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
    settings = [(repeats, groups) for repeats in SIZES for groups in GROUPS]
    table(
        "Shares: % of intervals that hold the truth",
        "repeats | groups | true share | bootstrap | Wilson | here",
        (
            (
                f"{repeats} | {groups} | {truth}",
                coverage_of_mean(methods, share(truth), truth, groups, repeats, repetitions),
            )
            for methods in [(bootstrap_mean, wilson, new_score)]
            for repeats, groups in settings
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
        "mean of | repeats | groups | bootstrap | here",
        (
            (
                f"{name} | {repeats} | {groups}",
                coverage_of_mean([bootstrap_mean, new], draw, truth, groups, repeats, repetitions),
            )
            for name, (draw, truth, new) in means.items()
            for repeats, groups in settings
        ),
    )
    table(
        "Area under the ROC curve: % of intervals that hold the truth",
        "true area | repeats | groups of lesions, normals | bootstrap | here",
        (
            (
                f"{norm.cdf(gap / np.sqrt(2)):.2f} | {repeats} | {lesions}, {normals}",
                coverage_of_auc([bootstrap_auc, new_auc], gap, lesions, normals, repeats, repetitions),
            )
            for gap in (1.5, 3.0)
            for repeats in SIZES
            for lesions, normals in ((20, 4), (104, 25))
        ),
    )
    table(
        "Two equal runs: % told apart",
        "change | repeats | groups | bootstrap | here",
        (
            (f"{name} | {repeats} | {groups}", false_alarms(draw, groups, repeats, repetitions))
            for name, draw in NO_DIFFERENCE.items()
            for repeats, groups in settings
            if groups > 4
        ),
    )


if __name__ == "__main__":
    main()
