import numpy as np

from breast_ultrasound.scoring.intervals import DIGITS
from breast_ultrasound.scoring.pixels import calibration_error, count_levels, precision_recall, reliability


def test_each_pixel_is_counted_inside_or_outside_the_lesion() -> None:
    probability, truth = np.array([[0, 7], [7, 255]], np.uint8), np.array([[False, True], [False, True]])
    levels = count_levels(probability, truth)
    assert levels.shape == (2, 256)
    assert levels[0, [7, 255]].tolist() == levels[1, [0, 7]].tolist() == [1, 1]
    assert levels.sum() == 4


def test_calibrated_probabilities_have_no_error_and_reversed_ones_a_large_one() -> None:
    level = np.arange(256)
    levels = np.stack([level * 1000, (255 - level) * 1000])
    assert calibration_error(levels) < 0.001
    assert reliability(levels)["pixels"].sum() == 255 * 1000 * 256
    assert calibration_error(levels[::-1]) > 0.4


def test_precision_and_recall_follow_from_the_levels() -> None:
    levels = np.zeros((2, 256), int)
    levels[0, [100, 200]], levels[1, [50, 100]] = 10, 30
    table = precision_recall(levels).set_index("threshold")
    assert list(table.loc[round(200 / 255, DIGITS)]) == [0.5, 1.0]
    assert list(table.loc[round(100 / 255, DIGITS)]) == [1.0, 0.4]
