import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Fitted
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.cases.folds import subsets
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.scoring.rows import score
from breast_ultrasound.scoring.scores import add_scores
from stages.evaluate import plots, pools

NO_CLASSES = np.empty(0)
CASE = Case("benign (1)", "benign", Path("benign (1).png"), ())


@settings(deadline=None)
@given(arrays(np.uint8, (5, 7)), arrays(bool, (5, 7)))
def test_rows_and_levels_of_an_image_agree(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
    fitted = Fitted(Steps(threshold=0.3))
    (before, after), (inside, outside) = score(fitted, Prediction(CASE, "test", truth, probability, NO_CLASSES))
    assert (before["stage"], after["stage"]) == ("before", "after")
    assert after["tp"] == inside[77:].sum()
    assert after["fp"] == outside[77:].sum()
    assert before["tp"] == inside[128:].sum()
    assert inside.sum() == truth.sum()
    assert inside.sum() + outside.sum() == truth.size


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (2000, 3000)])
@pytest.mark.parametrize("level", [0, 255])
def test_an_image_of_any_size_is_scored(shape: tuple[int, int], level: int) -> None:
    truth = np.zeros(shape, bool)
    truth[: shape[0] // 2 + 1, : shape[1] // 2 + 1] = True
    (row, _), _ = score(Fitted(), Prediction(CASE, "test", truth, np.full(shape, level, np.uint8), NO_CLASSES))
    assert math.isnan(row["hd95"]) == (level == 0)
    assert row["predicted_share"] == (level > 0)


@pytest.mark.parametrize("fold", range(5))
def test_post_processing_is_fitted_on_no_image_that_it_is_tested_on(fold: int) -> None:
    fitted_on = pools(range(5), folds=5)[fold]
    assert len(fitted_on) == 4
    folds = pd.Series(range(5))
    for network in fitted_on:
        assert subsets(folds, network)[fold] != "validation"


def test_a_single_fold_is_fitted_on_its_own_validation_images() -> None:
    assert pools([2], folds=5) == {2: [2]}


def test_the_chart_of_sizes_shows_the_images_with_a_lesion_in_their_mask(tmp_path: Path) -> None:
    counts = {"tp": [5, 0, 3], "fp": [0, 0, 0], "fn": [5, 0, 0], "tn": [90, 100, 97]}
    images = pd.DataFrame({"id": ["a", "b", "c"], "class": ["benign", "benign", "normal"], **counts})
    images = add_scores(images).assign(lesion_share=[0.1, 0.0, 0.03], kind="good")
    tested = pd.concat([images.assign(stage=stage) for stage in ("before", "after")])
    plots(tested, np.ones((2, 256), np.int64), tmp_path / "plots")
    assert pd.read_csv(tmp_path / "plots" / "dice_by_size.csv")["id"].tolist() == ["a", "c"]
