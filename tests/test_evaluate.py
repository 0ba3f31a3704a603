import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stages.cases.release import Case
from stages.evaluate import score
from stages.scoring.postprocess import Steps
from stages.scoring.predictions import Prediction

CASE = Case("benign (1)", "benign", Path("benign (1).png"), ())


@settings(deadline=None)
@given(arrays(np.uint8, (5, 7)), arrays(bool, (5, 7)))
def test_rows_and_levels_of_an_image_agree(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
    (before, after), (inside, outside) = score(Steps(threshold=0.3), Prediction(CASE, "test", truth, probability))
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
    (row, _), _ = score(Steps(), Prediction(CASE, "test", truth, np.full(shape, level, np.uint8)))
    assert math.isnan(row["hd95"]) == (level == 0)
    assert row["predicted_share"] == (level > 0)
