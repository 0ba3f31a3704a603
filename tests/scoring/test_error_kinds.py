import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.scoring.error_kinds import KINDS, classify, fragments
from breast_ultrasound.scoring.scores import add_scores, count


def kind(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> str:
    row = add_scores(pd.DataFrame([count(predicted, truth)])).assign(fragments=fragments(predicted, truth))
    return classify(row).iloc[0]


def box(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((60, 60), bool)
    mask[rows, columns] = True
    return mask


NOTHING = np.zeros((60, 60), bool)
LESION = box(slice(20, 40), slice(20, 40))


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        (NOTHING, NOTHING, "good"),
        (LESION, LESION, "good"),
        (LESION, NOTHING, "false positive"),
        (NOTHING, LESION, "false negative"),
        (box(slice(20, 40), slice(20, 30)), LESION, "under-segmented"),
        (box(slice(10, 50), slice(10, 50)), LESION, "over-segmented"),
        (box(slice(0, 15), slice(0, 15)), LESION, "displaced"),
        (box(slice(20, 40), slice(22, 32)) | box(slice(50, 60), slice(50, 60)), LESION, "fragmented"),
    ],
)
def test_each_kind_is_named(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], expected: str) -> None:
    assert kind(predicted, truth) == expected


@given(arrays(bool, (6, 6)), arrays(bool, (6, 6)))
def test_every_pair_of_masks_has_one_kind(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
    assert kind(predicted, truth) in KINDS


def test_as_many_parts_as_the_lesion_has_are_no_fragments() -> None:
    two = box(slice(0, 5), slice(0, 5)) | box(slice(20, 30), slice(20, 30))
    assert fragments(two, two) == 0
    assert fragments(two, LESION) == pytest.approx(25 / 125)
    assert fragments(NOTHING, LESION) == 0
