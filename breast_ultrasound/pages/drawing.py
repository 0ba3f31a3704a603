"""Test images drawn from what the network of their fold predicted."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing, read_postprocessing
from breast_ultrasound.answers.predictions import PredictedFold, Prediction, map_predictions, predictions
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import Case

T = TypeVar("T")

Draw = Callable[[Postprocessing, Prediction], T]


def draw_test_images(
    draw: Draw[T], fold_by_id: "pd.Series[int]", cases: Sequence[Case], label: str, root: Path = Path()
) -> dict[str, T]:
    """Draw test images, each from the prediction and with the post-processing of the fold that tests it.

    `fold_by_id` names the images and these folds; no other image of `cases` is read. Below `root` lie the outputs of
    the run. Returned is what `draw` makes of each image, by id.
    """
    index, drawn = read_index(root / PREPARED), {}
    for fold, members in fold_by_id.groupby(fold_by_id):
        number = int(str(fold))
        postprocessing = read_postprocessing(root / POSTPROCESS, f"fold-{number}")
        work = partial(_with_id, partial(draw, postprocessing))
        fold_cases = [case for case in cases if case.id in members.index]
        folder = root / predictions(number)
        drawn |= dict(
            map_predictions(work, PredictedFold(folder, fold_cases, index), ["test"], f"{label}, fold {number}")
        )
    return drawn


def _with_id(draw: Callable[[Prediction], T], prediction: Prediction) -> tuple[str, T]:
    return prediction.case.id, draw(prediction)
