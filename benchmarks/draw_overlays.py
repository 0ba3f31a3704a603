"""Draw test images of the run that is checked out, with true and predicted contours.

    uv run python benchmarks/draw_overlays.py quarters docs/overlays-phantom.jpg
    uv run python benchmarks/draw_overlays.py failures docs/failures.jpg

`quarters` shows four lesion images, the middle ones of each quarter when all are sorted by Dice, best first: what one
may expect, not a choice. `failures` shows three failures of each source in a row, drawn at random: a normal image with
a mask where there is one, and missed lesions.
"""

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import POSTPROCESS, read_postprocessing
from breast_ultrasound.answers.predictions import PredictedFold, Prediction, map_predictions, predictions
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, encode, overlay
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import PER_IMAGE
from breast_ultrasound.scoring.lesions import MISSED_DICE

_HEIGHT, _WIDTH = 300, 370
_MARGIN = ((4, 4), (4, 4), (0, 0))


def quarters(tested: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose the middle lesion image of each quarter by Dice, as one row of pictures."""
    lesions = tested[tested["tp"] + tested["fn"] > 0]
    ranked = lesions.sort_values(["dice", "id"], ascending=False).reset_index(drop=True)
    return [ranked.loc[[len(ranked) * (2 * quarter + 1) // 8 for quarter in range(4)]]]


def failures(tested: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose three failures of each source at random, as a row of pictures each."""
    has_lesion = tested["tp"] + tested["fn"] > 0
    rows = []
    for _, own in tested[tested["dice"] < MISSED_DICE].groupby("source"):
        mixed = own.sort_values("id").sample(frac=1, random_state=0)
        marked = mixed[~has_lesion[mixed.index]].head(1)
        rows.append(pd.concat([mixed[has_lesion[mixed.index]].head(3 - len(marked)), marked]))
    return rows


def draw(fold: int, prediction: Prediction) -> NDArray[np.uint8]:
    """Draw one image with its contours, RGB uint8 [_HEIGHT, _WIDTH, 3], on white ground."""
    image = read_grey(prediction.case.image)
    predicted = read_postprocessing(POSTPROCESS, f"fold-{fold}").answer(prediction.probability, prediction.logits).mask
    picture = overlay(image, [(prediction.truth, TRUTH), (predicted, PREDICTION)])
    scale = min(_HEIGHT / image.shape[0], _WIDTH / image.shape[1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:_HEIGHT, :_WIDTH]
    tile = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    tile[: picture.shape[0], : picture.shape[1]] = picture
    return tile


def main() -> None:
    """Draw the picture."""
    choices = {"quarters": quarters, "failures": failures}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("choice", choices=choices, help="which images to draw")
    parser.add_argument("target", type=Path, help="the JPEG to write")
    arguments = parser.parse_args()
    cases, index = {case.id: case for case in read_cases(RAW)}, read_index(PREPARED)
    scores = read_table(PER_IMAGE)
    tested = scores[(scores["subset"] == "test") & (scores["postprocessing"] == "after")]
    rows = []
    for chosen in choices[arguments.choice](tested):
        tiles = []
        for case_id, fold in chosen[["id", "fold"]].itertuples(index=False):
            predicted = PredictedFold(predictions(fold), [cases[case_id]], index)
            tiles += map_predictions(partial(draw, fold), predicted, ["test"], "draw")
        rows.append(np.hstack([np.pad(tile, _MARGIN, constant_values=255) for tile in tiles]))
    if not rows:
        parser.exit(1, f"no {arguments.choice} in {PER_IMAGE}: nothing to draw\n")
    width = max(row.shape[1] for row in rows)
    even = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    arguments.target.write_bytes(encode(np.vstack(even), ".jpg"))


if __name__ == "__main__":
    main()
