import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.calibration import class_probabilities, image_probability, predicted_dice, soft_dice
from breast_ultrasound.answers.fitting import fit_dice_calibration, fit_temperature

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
    classes = np.array([rng.choice(3, p=shares) for shares in class_probabilities(logits, 1.0)])
    assert fit_temperature(3 * logits, classes) == pytest.approx(3, rel=0.1)
    assert fit_temperature(logits, classes) == pytest.approx(1, rel=0.1)


def test_without_classes_there_is_no_temperature() -> None:
    assert fit_temperature(np.empty((5, 0)), np.zeros(5, np.int64)) == 1
    assert class_probabilities(np.empty(0), 1.0).size == 0


def test_one_right_class_for_all_gives_a_temperature_within_bounds() -> None:
    assert 0.1 <= fit_temperature(np.array([[9.0, 0.0, 0.0]] * 4), np.zeros(4, np.int64)) <= 10


@given(arrays(np.uint8, SHAPE), arrays(bool, SHAPE), st.floats(0, 1))
def test_the_soft_dice_of_any_mask_lies_between_0_and_1(
    probability: NDArray[np.uint8], mask: NDArray[np.bool_], lesion: float
) -> None:
    assert 0 <= soft_dice(probability, mask, lesion) <= 1


def test_the_soft_dice_of_a_certain_mask_is_1_and_of_its_complement_0() -> None:
    mask = np.arange(20).reshape(SHAPE) > 10
    certain = (255 * mask).astype(np.uint8)
    assert soft_dice(certain, mask, 1.0) == 1
    assert soft_dice(certain, ~mask, 1.0) == 0
    assert soft_dice(certain, mask & False, 0.2) == pytest.approx(0.8)


def test_the_image_level_probability_is_that_of_not_being_normal() -> None:
    assert image_probability(np.array([0.5, 0.3, 0.2]), np.zeros(SHAPE, np.uint8)) == pytest.approx(0.8)
    assert image_probability(np.empty(0), np.full(SHAPE, 51, np.uint8)) == pytest.approx(0.2)


@given(SHARES, SHARES)
def test_the_predicted_dice_rises_with_the_soft_dice_within_the_range_of_the_fitted_dice(
    soft: NDArray[np.float64], dice: NDArray[np.float64]
) -> None:
    calibration = fit_dice_calibration(soft, dice)
    values = [predicted_dice(value, calibration) for value in np.linspace(0, 1, 11)]
    assert np.all(np.diff(values) >= -1e-9)
    assert dice.min() - 1e-3 <= min(values) <= max(values) <= dice.max() + 1e-3


def test_the_calibration_corrects_a_soft_dice_that_is_too_high() -> None:
    rng = np.random.default_rng(0)
    soft = rng.uniform(0.5, 1, 400)
    calibration = fit_dice_calibration(soft, 2 * soft - 1 + rng.normal(0, 0.05, 400))
    assert predicted_dice(0.75, calibration) == pytest.approx(0.5, abs=0.05)
