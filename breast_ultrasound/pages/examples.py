"""The worst, the median and the best lesion images as files, for `dvc plots`."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.pages import selection
from breast_ultrasound.pages.drawing import draw_test_images
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, encode, overlay


def write_examples(tested: pd.DataFrame, cases: Sequence[Case], each: int, folder: Path) -> None:
    """Write to a new folder the worst, the median and the best of the lesion images by Dice, at most `each` of these.

    `tested` is the table by id that the stage `report` makes.
    """
    folder.mkdir()
    examples = selection.examples(tested, each)
    chosen = tested[tested.index.isin(itertools.chain(*examples.values()))]
    pictures = draw_test_images(draw_example, chosen["fold"], cases, "draw examples")
    for name, members in examples.items():
        for number, case_id in enumerate(members, 1):
            (folder / f"{name}_{number:02}.jpg").write_bytes(pictures[case_id])


def draw_example(postprocessing: Postprocessing, prediction: Prediction) -> bytes:
    """Draw a test image with its true and its predicted contour, as a JPEG file."""
    predicted = postprocessing.answer(prediction.probability, prediction.logits).mask
    masks = [(prediction.truth, TRUTH), (predicted, PREDICTION)]
    return encode(overlay(read_grey(prediction.case.image), masks), ".jpg")
