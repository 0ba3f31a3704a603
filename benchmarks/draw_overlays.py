"""Draw the README's picture of the run that is checked out: test images with true and predicted contour.

    uv run python benchmarks/draw_overlays.py docs/overlays-phantom.jpg

Shows four lesion images, the middle ones of each quarter when all are sorted by Dice, best first: what one may expect,
not a choice.
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

_HEIGHT, _WIDTH, _GAP = 300, 370, 8


def choose(scores: pd.DataFrame) -> pd.DataFrame:
    """Choose four test images of the table in metrics/scores.csv; return their ids and folds."""
    tested = scores[
        (scores["subset"] == "test") & (scores["postprocessing"] == "after") & (scores["tp"] + scores["fn"] > 0)
    ]
    ranked = tested.sort_values(["dice", "id"], ascending=False).reset_index(drop=True)
    return ranked.loc[[len(ranked) * (2 * quarter + 1) // 8 for quarter in range(4)], ["id", "fold"]]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the JPEG to write")
    target = parser.parse_args().target
    cases, index = {case.id: case for case in read_cases(RAW)}, read_index(PREPARED)
    tiles = []
    for case_id, fold in choose(read_table(PER_IMAGE)).itertuples(index=False):
        predicted = PredictedFold(predictions(fold), [cases[case_id]], index)
        tiles += map_predictions(partial(draw, fold), predicted, ["test"], "draw")
        tiles.append(np.full((_HEIGHT, _GAP, 3), 255, np.uint8))
    target.write_bytes(encode(np.hstack(tiles[:-1]), ".jpg"))


if __name__ == "__main__":
    main()
