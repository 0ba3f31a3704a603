import numpy as np
import pandas as pd
import pytest

from breast_ultrasound.scoring.confidence import mean_of_most_confident, predicted_dice, reliability


def test_the_most_confident_come_first_and_all_of_them_are_all() -> None:
    means = mean_of_most_confident(np.array([0.9, 0.5, 0.8, 0.6]), np.array([1.0, 0.0, 1.0, 1.0]))
    assert means == {"50%": 1, "60%": 1, "70%": 1, "80%": 1, "90%": 0.75, "100%": 0.75}
    assert mean_of_most_confident(np.array([0.3]), np.array([1.0]))["50%"] == 1


def test_calibrated_probabilities_have_no_error_and_overconfident_ones_have_one() -> None:
    right = np.array([1.0, 1, 1, 0] * 50)
    assert reliability(np.full(200, 0.75), right)["calibration error"] == pytest.approx(0)
    assert reliability(np.full(200, 0.95), right)["calibration error"] == pytest.approx(0.2)
    (tenth,) = reliability(np.full(200, 1.0), right)["reliability"]
    assert tenth == {"probability": 1, "right": 0.75, "images": 200}


def test_where_the_predicted_dice_ranks_rightly_the_most_confident_masks_are_better() -> None:
    dice = np.random.default_rng(0).random(12)
    figures = predicted_dice(pd.DataFrame({"dice": dice, "predicted_dice": dice / 2}))
    assert figures["rank correlation"] == pytest.approx(1)
    means = list(figures["Dice of the most confident"].values())
    assert means == sorted(means, reverse=True)
    assert means[-1] == pytest.approx(dice.mean(), abs=1e-4)


def test_equal_predictions_have_no_rank_correlation() -> None:
    assert "rank correlation" not in predicted_dice(pd.DataFrame({"dice": [0.1, 0.9], "predicted_dice": [0.5, 0.5]}))
