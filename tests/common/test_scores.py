import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from stages.common.scores import add_scores, count

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


def test_the_rule_for_empty_masks() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    both, one = scores(empty, empty), scores(empty, full)
    assert (both["dice"], both["iou"]) == (1, 1)
    assert (one["dice"], one["iou"]) == (0, 0)
    assert scores(full, empty)["dice"] == 0
    assert np.isnan(both["sensitivity"])
    assert np.isnan(one["precision"])
