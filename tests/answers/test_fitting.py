import numpy as np
import pytest

from breast_ultrasound.answers.fitting import fit_steps, utility
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.scoring.paired import PairedTest
from stages.evaluate import Params

CANDIDATES = load(Params).postprocess.model_dump()


def test_the_fit_finds_a_separable_best_and_leaves_off_what_does_not_pay() -> None:
    wanted = Steps(threshold=0.3, part_area=0.005, largest_only=True)

    def score(steps: Steps) -> np.ndarray:
        right = [getattr(steps, name) == getattr(wanted, name) for name in CANDIDATES]
        return np.full(5, sum(right) / 12)

    assert fit_steps(CANDIDATES, score, lambda gained: gained.mean() > 0.001) == wanted
    assert fit_steps(CANDIDATES, score, lambda gained: gained.mean() > 0.2) == Steps()


def test_the_fit_of_a_flat_score_is_the_bare_network() -> None:
    assert fit_steps(CANDIDATES, lambda _: np.full(5, 0.5), lambda _: True) == Steps()


@pytest.mark.parametrize(("gaining", "taken"), [(60, True), (3, False)])
def test_a_gain_of_a_few_images_is_noise_and_one_of_many_is_not(gaining: int, taken: bool) -> None:
    test = PairedTest(2000, 0.95, seed=0)

    def score(steps: Steps) -> np.ndarray:
        return np.where(np.arange(100) < gaining, 0.5 + 0.1 * steps.largest_only, 0.5)

    def pays(gained: np.ndarray) -> bool:
        return test.mean(gained, np.arange(100)).verdict == "more than noise"

    assert fit_steps(CANDIDATES, score, pays).largest_only == taken


def test_a_lost_lesion_costs_more_than_a_false_mask() -> None:
    dice, lesion = np.array([1.0, 0.05, 1.0, 0.0]), np.array([True, True, False, False])
    found, lost, clean, false = utility(dice, lesion, lost_lesion=1)
    assert found == clean == 1
    assert found - lost == pytest.approx(0.975)
    assert clean - false == pytest.approx(0.5)
    assert np.array_equal(utility(dice, lesion, lost_lesion=0), dice)
