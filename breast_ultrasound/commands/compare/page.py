"""The page of a comparison: its figures, and the masks of both runs side by side."""

import tempfile
from pathlib import Path

import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing
from breast_ultrasound.answers.predictions import Prediction, predictions
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.prepared import INDEX, PREPARED
from breast_ultrasound.cases.raw import RAW, find_case
from breast_ultrasound.commands.compare.revisions import Revision
from breast_ultrasound.commands.compare.runs import Comparison
from breast_ultrasound.pages.drawing import draw_test_images
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, overlay
from breast_ultrasound.pages.rendering import jpeg, render, shrink, shrink_mask

_WIDTH = 420


def render_page(comparison: Comparison, confidence: float) -> str:
    """Return the comparison as one self-contained HTML page.

    UserError where DVC has the images or the predictions of a run neither in its cache nor in a remote.
    """
    listed = pd.concat([comparison.gained, comparison.lost])
    pictures = {}
    for run, revision in (("first", comparison.first), ("second", comparison.second)):
        chosen = listed[["id", "class", f"fold_{run}"]].rename(columns={f"fold_{run}": "fold"})
        pictures[run] = draw_run(revision, chosen) if len(chosen) else {}
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


def draw_picture(postprocessing: Postprocessing, prediction: Prediction) -> str:
    """Draw a test image with its true and its predicted contour, as JPEG in base64 text."""
    mask = postprocessing.answer(prediction.probability, prediction.logits).mask
    image, truth, predicted = (
        shrink(read_grey(prediction.case.image), _WIDTH),
        shrink_mask(prediction.truth, _WIDTH),
        shrink_mask(mask, _WIDTH),
    )
    return jpeg(overlay(image, [(truth, TRUTH), (predicted, PREDICTION)]))
