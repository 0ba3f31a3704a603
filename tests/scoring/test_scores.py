import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from breast_ultrasound.scoring.scores import add_scores, count, surface_distances

MASKS = arrays(bool, (4, 6))


def scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    row = add_scores(pd.DataFrame([count(predicted, truth)])).iloc[0]
    return {str(name): float(value) for name, value in row.items()}


@given(MASKS, MASKS)
def test_scores_agree_with_an_independent_implementation(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> None:
    ours, pixels = scores(predicted, truth), (truth.ravel(), predicted.ravel())
    assert np.isclose(ours["dice"], f1_score(*pixels, zero_division=1.0))
    assert np.isclose(ours["iou"], jaccard_score(*pixels, zero_division=1.0)) or not (truth.any() or predicted.any())
    assert np.isclose(ours["sensitivity"], recall_score(*pixels, zero_division=np.nan), equal_nan=True)
    assert np.isclose(ours["precision"], precision_score(*pixels, zero_division=np.nan), equal_nan=True)
    specificity = recall_score(~truth.ravel(), ~predicted.ravel(), zero_division=np.nan)
    assert np.isclose(ours["specificity"], specificity, equal_nan=True)


@given(MASKS, MASKS)
def test_counts_add_up_to_the_pixels(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
    counts = count(predicted, truth)
    assert sum(counts.values()) == truth.size
    assert min(counts.values()) >= 0


@settings(deadline=None)
@given(MASKS, MASKS)
def test_surface_distances_agree_with_all_pairs_of_surface_pixels(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> None:
    ours = surface_distances(predicted, truth)
    if not predicted.any() or not truth.any():
        assert np.isnan(list(ours.values())).all()
        return
    distances = cdist(surface(predicted), surface(truth))
    there, back = distances.min(axis=1), distances.min(axis=0)
    assert ours["hd95"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert ours["assd"] == pytest.approx(np.concatenate([there, back]).mean())


def surface(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the coordinates of the pixels of a mask with one of four neighbours outside, one by one."""
    padded = np.pad(mask, 1)
    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    edge = [p for p in np.argwhere(padded) if not all(padded[p[0] + dy, p[1] + dx] for dy, dx in steps)]
    return np.array(edge)


def test_shifted_squares_have_the_distance_of_the_shift() -> None:
    square = np.zeros((40, 40), bool)
    square[10:20, 10:20] = True
    assert surface_distances(square, np.roll(square, 4, axis=1))["hd95"] == 4


def test_area_error_is_signed_and_relative() -> None:
    truth, half = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    truth[:2], half[0] = True, True
    assert scores(half, truth)["area_error"] == -0.5
    assert scores(~half, truth)["area_error"] == 0.5


def test_the_rule_for_empty_masks() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    both, one = scores(empty, empty), scores(empty, full)
    assert (both["dice"], both["iou"]) == (1, 1)
    assert (one["dice"], one["iou"]) == (0, 0)
    assert scores(full, empty)["dice"] == 0
    assert np.isnan(both["sensitivity"])
    assert np.isnan(one["precision"])
