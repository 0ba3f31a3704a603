"""The page of a comparison: its figures, and the masks of both runs side by side."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing
from breast_ultrasound.answers.predictions import Prediction, predictions
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.prepared import INDEX, PREPARED
from breast_ultrasound.cases.raw import RAW, Case, find_case, read_merged_mask
from breast_ultrasound.commands.compare.revisions import Revision
from breast_ultrasound.commands.compare.runs import Comparison
from breast_ultrasound.commands.compare.systems import Scored
from breast_ultrasound.pages.drawing import draw_test_images
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, overlay
from breast_ultrasound.pages.rendering import jpeg, render, shrink, shrink_mask
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.submissions.cases import open_cases
from breast_ultrasound.submissions.scored import read_mask as read_scored_mask

_WIDTH = 420


@dataclass(frozen=True)
class Pictures:
    """The pictures of the listed images, by run, `first` or `second`, and id; `lacking` says why a run has none."""

    by_run: dict[str, dict[str, str]]
    lacking: dict[str, str]


def draw(comparison: Comparison) -> Pictures:
    """Draw the images that a comparison lists, for each run whose images and masks are at hand.

    UserError says what is not at hand where neither run can be drawn.
    """
    listed = pd.concat([comparison.gained, comparison.lost])
    pictures = Pictures({}, {})
    for place, run in (("first", comparison.first), ("second", comparison.second)):
        chosen = listed[["id", "class", f"fold_{place}"]].rename(columns={f"fold_{place}": "fold"})
        try:
            if not chosen.empty:
                drawn = draw_run(run, chosen) if isinstance(run, Revision) else draw_system(run, chosen["id"])
                pictures.by_run[place] = drawn
        except UserError as error:
            pictures.lacking[place] = str(error)
    if len(pictures.lacking) == 2:
        raise UserError("\n".join(pictures.lacking.values()))
    return pictures


def render_page(comparison: Comparison, pictures: Pictures, confidence: float) -> str:
    """Return the comparison as one self-contained HTML page."""
    return render(
        "compare.html.j2",
        comparison=comparison,
        confidence=confidence,
        rows={"gained": comparison.gained.to_dict("records"), "lost": comparison.lost.to_dict("records")},
        pictures=pictures,
        width=_WIDTH,
    )


def draw_run(revision: Revision, chosen: pd.DataFrame) -> dict[str, str]:
    """Draw test images of one run, by id; `chosen` has the columns id, class and fold, the one that tests the image."""
    outputs = [PREPARED / INDEX, POSTPROCESS, *(predictions(fold) for fold in set(chosen["fold"]))]
    for cls, case_id in zip(chosen["class"], chosen["id"], strict=True):
        outputs += [RAW / cls / f"{case_id}.png", RAW / cls / f"{case_id}_mask*.png"]
    # In the working tree, which the machines of a cluster see as well.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".partial-") as name:
        folder = Path(name)
        revision.fetch(outputs, folder)
        cases = [find_case(folder / RAW, *row) for row in zip(chosen["class"], chosen["id"], strict=True)]
        fold_by_id = chosen.set_index("id")["fold"]
        return draw_test_images(draw_picture, fold_by_id, cases, f"draw {revision.name}", folder)


def draw_system(system: Scored, ids: Iterable[str]) -> dict[str, str]:
    """Draw images of a scored system, by id.

    UserError where the images that were scored are not here any more, such as another run is checked out.
    """
    with open_cases(system.case_table) as cases:
        case_of = {case.id: case for case in cases}
        return {case_id: _draw_scored(system, case_id, case_of.get(case_id)) for case_id in ids}


def _draw_scored(system: Scored, case_id: str, case: Case | None) -> str:
    mask = read_scored_mask(system.folder, case_id)
    if case is None or read_grey(case.image).shape != mask.shape:
        raise UserError(f"{system.folder}: the data does not hold its {case_id}. Check out the data that was scored.")
    return draw_contours(case, read_merged_mask(case, *mask.shape), mask)


def draw_picture(postprocessing: Postprocessing, prediction: Prediction) -> str:
    """Draw a test image as `draw_contours` does, with the mask that post-processing makes."""
    mask = postprocessing.answer(prediction.probability, prediction.logits).mask
    return draw_contours(prediction.case, prediction.truth, mask)


def draw_contours(case: Case, truth: Mask, predicted: Mask) -> str:
    """Draw an image with its true and its predicted contour, as JPEG in base64 text."""
    image, true, drawn = (
        shrink(read_grey(case.image), _WIDTH),
        shrink_mask(truth, _WIDTH),
        shrink_mask(predicted, _WIDTH),
    )
    return jpeg(overlay(image, [(true, TRUTH), (drawn, PREDICTION)]))
