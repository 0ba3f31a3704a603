import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.answers.rows import count_shifted, score, tabulate
from breast_ultrasound.cases.raw import Case

NO_CLASSES = np.empty(0)
CASE = Case("benign (1)", "benign", Path("benign (1).png"), ())


@settings(deadline=None)
@given(arrays(np.uint8, (5, 7)), arrays(bool, (5, 7)))
def test_rows_and_levels_of_an_image_agree(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
    postprocessing = Postprocessing(Steps(threshold=0.3))
    prediction = Prediction(CASE, "test", truth, probability, NO_CLASSES)
    (before, after), (inside, outside) = score(postprocessing, prediction)
    assert (before["postprocessing"], after["postprocessing"]) == ("before", "after")
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
    (row, _), _ = score(Postprocessing(), Prediction(CASE, "test", truth, np.full(shape, level, np.uint8), NO_CLASSES))
    assert math.isnan(row["hd95"]) == (level == 0)
    assert row["predicted_share"] == (level > 0)


def test_counts_under_a_domain_shift_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    probability, truth = rng.integers(0, 256, (6, 8), np.uint8), rng.random((6, 8)) < 0.3
    postprocessing = Postprocessing(Steps(threshold=0.3))
    scored, _ = score(postprocessing, Prediction(CASE, "test", truth, probability, NO_CLASSES))
    shifted = count_shifted(postprocessing, Prediction(CASE, "blur", truth, probability, NO_CLASSES))
    assert [row["domain_shift"] for row in shifted] == ["blur", "blur"]
    for name in ("postprocessing", "id", "tp", "fp", "fn", "tn"):
        assert [row[name] for row in shifted] == [row[name] for row in scored]


def test_a_table_has_two_rows_an_image_and_the_pixels_of_each_subset() -> None:
    truth, certain = np.eye(4) > 0, (255 * np.eye(4)).astype(np.uint8)
    images = [Prediction(CASE, subset, truth, certain, NO_CLASSES) for subset in ("validation", "test", "test")]
    table, levels = tabulate(score(Postprocessing(), image) for image in images)
    assert table["subset"].tolist() == ["validation"] * 2 + ["test"] * 4
    assert (table["dice"] == 1).all()
    assert (table["kind"] == "good").all()
    assert {subset: pixels.sum() for subset, pixels in levels.items()} == {"validation": 16, "test": 32}
