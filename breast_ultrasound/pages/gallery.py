"""The gallery of the report: a picture of the test images that it shows, and a row for each of them all."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.pages import selection
from breast_ultrasound.pages.drawing import draw_test_images
from breast_ultrasound.pages.rendering import jpeg, outline, shrink

_WIDTH = 320
_PROBABILITY_WIDTH = 160

# What the table of the page and its controls read of a test image.
_COLUMNS = ["id", "class", "kind", "dice_before", "dice", "lesion_share", "marks"]


@dataclass(frozen=True)
class Tile:
    """The pictures of a test image: JPEG as base64 text, and the outlines of its masks as SVG paths, by name."""

    id: str
    image: str
    probability: str
    height: int
    contours: dict[str, str]


def build_gallery(tested: pd.DataFrame, cases: Sequence[Case], most: int, seed: int) -> dict[str, Any]:
    """Draw at most `most` of the test images, worst first, and list them all.

    `tested` is the table by id that the stage `report` makes.
    """
    reasons = selection.gallery(tested, most, seed)
    chosen = tested[tested.index.isin(itertools.chain(*reasons.values()))].sort_values("dice", kind="stable")
    tiles = draw_test_images(draw_tile, chosen["fold"], cases, "draw gallery")
    return {
        "items": [{"tile": tiles[str(case_id)], **row} for case_id, row in chosen.to_dict("index").items()],
        "reasons": {name: len(members) for name, members in reasons.items()},
        "classes": sorted(set(tested["class"])),
        "tested": tested.reset_index()[_COLUMNS].to_dict("split")["data"],
        "width": _WIDTH,
    }


def draw_tile(postprocessing: Postprocessing, prediction: Prediction) -> Tile:
    """Draw the tile of a test image."""
    masks = {
        "truth": prediction.truth,
        "before": Postprocessing().answer(prediction.probability, prediction.logits).mask,
        "after": postprocessing.answer(prediction.probability, prediction.logits).mask,
    }
    small = shrink(read_grey(prediction.case.image), _WIDTH)
    return Tile(
        id=prediction.case.id,
        image=jpeg(small),
        probability=jpeg(shrink(prediction.probability, _PROBABILITY_WIDTH)),
        height=small.shape[0],
        contours={name: outline(mask, _WIDTH) for name, mask in masks.items()},
    )
