from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stages.common.postprocess import binary_mask, cut
from stages.common.predictions import Prediction
from stages.common.release import Case
from stages.common.scores import add_scores, count
from stages.evaluate import THRESHOLDS, counts_by_level, fit_threshold, summarise

CASE = Case("benign (1)", "benign", Path("benign (1).png"), ())
PROBABILITIES = arrays(np.uint8, (5, 7))
TRUTHS = arrays(bool, (5, 7))


def prediction(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> Prediction:
    return Prediction(CASE, "validation", truth, probability)


@given(PROBABILITIES, TRUTHS, st.sampled_from(THRESHOLDS.tolist()))
def test_counts_by_level_agree_with_cutting_at_a_threshold(
    probability: NDArray[np.uint8], truth: NDArray[np.bool_], threshold: float
) -> None:
    _, tp, fp, lesion = counts_by_level(prediction(probability, truth))
    expected = count(binary_mask(probability, threshold), truth)
    level = cut(threshold)
    assert (tp[level], fp[level], lesion - tp[level]) == (expected["tp"], expected["fp"], expected["fn"])


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_pixel_is_lesion_from_the_threshold_on(threshold: float) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(binary_mask(levels, threshold)[0], np.arange(256) / 255 >= threshold - 1e-12)


def test_the_threshold_that_separates_best_is_chosen() -> None:
    truth = np.zeros((10, 10), bool)
    truth[:5] = True
    probability = np.where(truth, np.uint8(180), np.uint8(140))
    counts = [counts_by_level(prediction(probability, truth)) for _ in range(3)]
    _, tp, fp, lesion = (np.array(part) for part in zip(*counts, strict=True))
    assert 140 / 255 < fit_threshold(tp, fp, lesion) <= 180 / 255


def test_a_false_alarm_on_a_normal_image_counts_against_a_threshold() -> None:
    lesion, normal = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    counts = [
        counts_by_level(prediction(np.full((4, 4), 200, np.uint8), lesion)),
        counts_by_level(prediction(np.full((4, 4), 100, np.uint8), normal)),
    ]
    _, tp, fp, area = (np.array(part) for part in zip(*counts, strict=True))
    assert 100 / 255 < fit_threshold(tp, fp, area) <= 200 / 255


def test_the_summary_holds_means_over_images_of_each_class() -> None:
    counts = {"tp": [50, 0, 0], "fp": [50, 0, 10], "fn": [0, 50, 0], "tn": [0, 50, 90]}
    scores = add_scores(pd.DataFrame({"class": ["benign", "malignant", "normal"], **counts}))
    summary = summarise(scores)
    assert summary["lesion"]["dice"] == pytest.approx((2 / 3 + 0) / 2, abs=1e-4)
    assert summary["benign"]["images"] == 1
    assert summary["normal"]["clean"] == 0
    assert summary["all"]["images"] == 3
    # Without a predicted lesion precision is undefined, and no NaN may reach the JSON.
    assert "precision" not in summary["malignant"]


def test_a_class_without_images_is_left_out() -> None:
    counts = {"tp": [5], "fp": [0], "fn": [0], "tn": [5]}
    assert set(summarise(add_scores(pd.DataFrame({"class": ["benign"], **counts})))) == {"lesion", "benign", "all"}
