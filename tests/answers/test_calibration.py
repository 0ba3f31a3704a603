import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.calibration import agreement, class_probabilities, estimate, lesion_chance
from breast_ultrasound.answers.fitting import fit_estimate, fit_temperature

SHAPE = (4, 5)
SHARES = arrays(float, st.shared(st.integers(1, 20), key="images"), elements=st.floats(0, 1))


def test_a_temperature_softens_the_classes_and_keeps_their_order() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [-40.0, 0.0, 40.0]])
    soft, sharp = class_probabilities(logits, 4.0), class_probabilities(logits, 1.0)
    assert soft.sum(axis=1) == pytest.approx(1)
    assert (soft.max(axis=1) <= sharp.max(axis=1)).all()
    assert np.array_equal(soft.argmax(axis=1), logits.argmax(axis=1))


def test_the_fitted_temperature_makes_up_for_logits_that_are_too_large() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    classes = np.array([rng.choice(3, p=chances) for chances in class_probabilities(logits, 1.0)])
    assert fit_temperature(3 * logits, classes) == pytest.approx(3, rel=0.1)
    assert fit_temperature(logits, classes) == pytest.approx(1, rel=0.1)


def test_without_classes_there_is_no_temperature() -> None:
    assert fit_temperature(np.empty((5, 0)), np.zeros(5, np.int64)) == 1
    assert class_probabilities(np.empty(0), 1.0).size == 0


def test_one_right_class_for_all_gives_a_temperature_within_bounds() -> None:
    assert 0.1 <= fit_temperature(np.array([[9.0, 0.0, 0.0]] * 4), np.zeros(4, np.int64)) <= 10


@given(arrays(np.uint8, SHAPE), arrays(bool, SHAPE), st.floats(0, 1))
def test_the_agreement_of_any_mask_lies_between_0_and_1(
    probability: NDArray[np.uint8], mask: NDArray[np.bool_], chance: float
) -> None:
    assert 0 <= agreement(probability, mask, chance) <= 1


def test_a_certain_mask_agrees_and_one_that_contradicts_does_not() -> None:
    mask = np.arange(20).reshape(SHAPE) > 10
    certain = (255 * mask).astype(np.uint8)
    assert agreement(certain, mask, 1.0) == 1
    assert agreement(certain, ~mask, 1.0) == 0
    assert agreement(certain, mask & False, 0.2) == pytest.approx(0.8)


def test_the_chance_of_a_lesion_is_that_of_not_being_normal() -> None:
    assert lesion_chance(np.array([0.5, 0.3, 0.2]), np.zeros(SHAPE, np.uint8)) == pytest.approx(0.8)
    assert lesion_chance(np.empty(0), np.full(SHAPE, 51, np.uint8)) == pytest.approx(0.2)


@given(SHARES, SHARES)
def test_the_estimate_rises_with_agreement_and_stays_within_what_was_seen(
    agreements: NDArray[np.float64], dice: NDArray[np.float64]
) -> None:
    knots = fit_estimate(agreements, dice)
    values = [estimate(agreed, knots) for agreed in np.linspace(0, 1, 11)]
    assert np.all(np.diff(values) >= -1e-9)
    assert dice.min() - 1e-3 <= min(values) <= max(values) <= dice.max() + 1e-3


def test_the_estimate_learns_that_agreement_flatters() -> None:
    rng = np.random.default_rng(0)
    agreements = rng.uniform(0.5, 1, 400)
    knots = fit_estimate(agreements, 2 * agreements - 1 + rng.normal(0, 0.05, 400))
    assert estimate(0.75, knots) == pytest.approx(0.5, abs=0.05)
