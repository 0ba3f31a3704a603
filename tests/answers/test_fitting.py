from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from breast_ultrasound.answers.cross_fitting import is_gain
from breast_ultrasound.answers.fitting import (
    IMAGE_STEPS,
    PARTS,
    decide,
    fit_steps,
    parts_by_group,
    search_in_turn,
    search_jointly,
    utility,
)
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.paired import PairedTest

CANDIDATES = {
    "image_probability": (0, 0.1, 0.3),
    "threshold": (0.5, 0.3, 0.4, 0.6),
    "smooth": (0, 0.01),
    "peak": (0, 0.8),
    "part_area": (0, 0.001, 0.005),
    "largest_only": (False, True),
}
GROUPS = np.arange(100) // 2


def is_gain_of_groups(gains: NDArray[np.float64]) -> bool:
    return is_gain(PairedTest(500, 0.95, seed=0), gains, GROUPS)


@given(st.lists(st.integers(0, 40), min_size=1), st.integers(0, 99))
def test_no_group_lies_in_two_parts_and_the_parts_are_even(groups: list[int], seed: int) -> None:
    parts = parts_by_group(np.array(groups), seed)
    part_of = dict(zip(groups, parts.tolist(), strict=True))
    assert [part_of[group] for group in groups] == parts.tolist()
    groups_in_each = np.bincount(list(part_of.values()), minlength=PARTS)
    assert groups_in_each.max() - groups_in_each.min() <= 1
    assert np.array_equal(parts, parts_by_group(np.array(groups), seed))


def test_the_fit_reaches_a_separable_best_and_leaves_off_what_does_not_pay() -> None:
    best = Steps(image_probability=0.3, threshold=0.3, part_area=0.005, largest_only=True)

    def score(steps: Steps) -> NDArray[np.float64]:
        return np.full(100, sum(getattr(steps, name) == getattr(best, name) for name in CANDIDATES) / 6)

    parts = parts_by_group(GROUPS, seed=0)
    assert fit_steps(CANDIDATES, score, parts, lambda gains: gains.mean() > 0.001) == best
    # A decision pays as a whole, or all its steps stay off.
    assert fit_steps(CANDIDATES, score, parts, lambda gains: gains.mean() > 0.4) == Steps()


def test_the_threshold_and_the_image_level_probability_are_searched_together() -> None:
    def score(steps: Steps) -> NDArray[np.float64]:
        """Score each of the two below the default where it is changed alone."""
        changed = steps.threshold == 0.3, steps.image_probability == 0.1
        return np.full(5, 0.5 + 0.1 * all(changed) - 0.1 * (sum(changed) == 1))

    image_steps = {name: CANDIDATES[name] for name in IMAGE_STEPS}
    assert search_jointly(image_steps, Steps(), score) == Steps(threshold=0.3, image_probability=0.1)
    assert search_in_turn(image_steps, Steps(), score) == Steps()


@given(st.floats(0, 1), st.integers(1, 20))
def test_a_candidate_that_equals_the_default_is_never_better(utility: float, groups: int) -> None:
    def score(_: Steps) -> NDArray[np.float64]:
        return np.full(20, utility)

    parts = parts_by_group(np.arange(20) % groups, seed=0)
    assert search_jointly(CANDIDATES, Steps(), score) == Steps()
    # Not even where any gain would pay.
    assert fit_steps(CANDIDATES, score, parts, lambda _: True) == Steps()


def test_no_image_has_a_say_in_its_own_gain() -> None:
    """Each part's images gain by a threshold of their own, which a search without them cannot find."""
    parts = np.arange(10) % PARTS
    thresholds = 0.1 * np.arange(PARTS)
    gains_seen = []

    def score(steps: Steps) -> NDArray[np.float64]:
        return (thresholds[parts] == steps.threshold).astype(float)

    search = partial(search_jointly, {"threshold": thresholds.tolist()})
    decide(search, Steps(threshold=0.9), score, parts, lambda gains: bool(gains_seen.append(gains)))
    assert np.array_equal(gains_seen, np.zeros((1, 10)))


@pytest.mark.parametrize(("gaining", "taken"), [(60, True), (6, False)])
def test_a_gain_of_a_few_images_is_noise_and_one_of_many_is_not(gaining: int, taken: bool) -> None:
    def score(steps: Steps) -> NDArray[np.float64]:
        return np.where(np.arange(100) < gaining, 0.5 + 0.1 * steps.largest_only, 0.5)

    assert fit_steps(CANDIDATES, score, parts_by_group(GROUPS, seed=0), is_gain_of_groups).largest_only == taken


def random_fit(seed: int, gain: float) -> Steps:
    """Fit where each value of each step changes groups by noise, and an image-level probability of 0.3 gains."""
    rng = np.random.default_rng(seed)
    changes = {
        (name, value): rng.normal(0, 0.1, 50)[GROUPS] + gain * ((name, value) == ("image_probability", 0.3))
        for name, values in CANDIDATES.items()
        for value in values[1:]
    }

    def score(steps: Steps) -> NDArray[np.float64]:
        taken = (changes.get((name, getattr(steps, name)), np.zeros(100)) for name in CANDIDATES)
        return sum(taken, np.full(100, 0.5))

    return fit_steps(CANDIDATES, score, parts_by_group(GROUPS, seed), is_gain_of_groups)


def test_a_step_is_rarely_taken_where_none_helps() -> None:
    assert np.mean([random_fit(seed, gain=0) != Steps() for seed in range(60)]) <= 0.15


def test_a_strong_gate_is_taken() -> None:
    assert [random_fit(seed, gain=0.1).image_probability for seed in range(10)] == [0.3] * 10


def test_a_missed_lesion_costs_more_than_a_false_positive() -> None:
    dice, lesion = np.array([1.0, 0.05, 1.0, 0.0]), np.array([True, True, False, False])
    hit, missed, empty, false_positive = utility(dice, lesion, missed_lesion=1)
    assert hit == empty == 1
    assert hit - missed == pytest.approx(0.975)
    assert empty - false_positive == pytest.approx(0.5)
    assert np.array_equal(utility(dice, lesion, missed_lesion=0), dice)
