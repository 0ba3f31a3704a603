import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.fitting import IMAGE_STEPS, best_change, fit_steps, utility
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
TEST = PairedTest(500, 0.95, seed=0)


def test_the_fit_reaches_a_separable_best_and_leaves_off_what_does_not_help() -> None:
    best = Steps(image_probability=0.3, threshold=0.3, part_area=0.005, largest_only=True)

    def score(steps: Steps) -> NDArray[np.float64]:
        return np.full(100, sum(getattr(steps, name) == getattr(best, name) for name in CANDIDATES) / 6)

    assert fit_steps(CANDIDATES, score, GROUPS, TEST) == best


def test_the_threshold_and_the_image_level_probability_are_chosen_together() -> None:
    def score(steps: Steps) -> NDArray[np.float64]:
        """Score each of the two below the default where it is changed alone."""
        changed = steps.threshold == 0.3, steps.image_probability == 0.1
        return np.full(100, 0.5 + 0.1 * all(changed) - 0.1 * (sum(changed) == 1))

    image_steps = {name: CANDIDATES[name] for name in IMAGE_STEPS}
    assert fit_steps(image_steps, score, GROUPS, TEST) == Steps(threshold=0.3, image_probability=0.1)
    alone = [{name: value} for name, values in image_steps.items() for value in values]
    assert best_change(alone, Steps(), score, GROUPS, TEST) == Steps()


def test_the_step_that_gains_most_is_taken_first_and_what_adds_nothing_to_it_is_left_off() -> None:
    """Both steps mend the same images, and the one that is listed last mends more of them."""

    def score(steps: Steps) -> NDArray[np.float64]:
        mended = max(30 * (steps.smooth > 0), 60 * steps.largest_only)
        return np.where(np.arange(100) < mended, 0.6, 0.5)

    assert fit_steps(CANDIDATES, score, GROUPS, TEST) == Steps(largest_only=True)


@given(arrays(float, (3, 20), elements=st.floats(-1, 1)), arrays(int, 20, elements=st.integers(0, 19)))
def test_a_change_without_a_gain_is_never_made(gains: NDArray[np.float64], groups: NDArray[np.int64]) -> None:
    # Of each candidate's gains as much is taken away that their mean is at most 0.
    gains = gains - np.maximum(gains.mean(axis=1, keepdims=True), 0)
    values = {0.0: np.zeros(20), **dict(zip((0.1, 0.2, 0.3), gains, strict=True))}
    changes = [{"peak": value} for value in values]
    assert best_change(changes, Steps(), lambda steps: values[steps.peak], groups, TEST) == Steps()


@pytest.mark.parametrize(("gaining", "taken"), [(60, True), (6, False)])
def test_a_gain_of_a_few_images_is_noise_and_one_of_many_is_not(gaining: int, taken: bool) -> None:
    def score(steps: Steps) -> NDArray[np.float64]:
        return np.where(np.arange(100) < gaining, 0.5 + 0.1 * steps.largest_only, 0.5)

    assert fit_steps(CANDIDATES, score, GROUPS, TEST).largest_only == taken


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

    return fit_steps(CANDIDATES, score, GROUPS, TEST)


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
