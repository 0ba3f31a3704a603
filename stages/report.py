"""Write metrics/report.html, one self-contained file: the summary and every test image with both contours."""

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd

from stages.common import params, paths
from stages.common.errors import command
from stages.common.files import written_aside
from stages.common.images import read_grey
from stages.common.overlay import PREDICTION, TRUTH, encode, overlay
from stages.common.params import Params
from stages.common.postprocess import binary_mask, read_threshold
from stages.common.predictions import Prediction, map_predictions
from stages.common.prepared import read_index
from stages.common.release import scan

TEMPLATE = Path(__file__).parent / "report.html.j2"
_WIDTH = 320


def tile(threshold: float, prediction: Prediction) -> dict[str, Any] | None:
    """One picture of the gallery; nothing for a validation image."""
    if prediction.subset != "test":
        return None
    predicted, truth = binary_mask(prediction.probability, threshold), prediction.truth
    image = read_grey(prediction.case.image)
    height = round(_WIDTH * image.shape[0] / image.shape[1])
    small = [
        cv2.resize(pixels.astype(np.uint8), (_WIDTH, height), interpolation=cv2.INTER_AREA)
        for pixels in (image, truth.astype(np.uint8) * 255, predicted.astype(np.uint8) * 255)
    ]
    picture = overlay(np.asarray(small[0], np.uint8), [(small[1] > 127, TRUTH), (small[2] > 127, PREDICTION)])
    return {
        "id": prediction.case.id,
        "width": _WIDTH,
        "height": height,
        "picture": base64.b64encode(encode(picture, ".jpg")).decode(),
        "describe": f"lesion on {truth.mean():.1%} of the image, predicted on {predicted.mean():.1%}",
    }


def gallery(folds: tuple[int, ...], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The tiles of the test images of some folds with their Dice, worst first."""
    cases, index = scan(paths.RAW), read_index(paths.PREPARED)
    test = scores[scores["subset"] == "test"]
    dice = dict(zip(test["id"], test["dice"], strict=True))
    tiles = []
    for fold in folds:
        work = partial(tile, read_threshold(paths.POSTPROCESS, f"fold-{fold}"))
        tiles += filter(None, map_predictions(work, paths.predictions(fold), cases, index, f"draw fold {fold}"))
    return sorted(({**tile, "dice": dice[tile["id"]]} for tile in tiles), key=lambda tile: tile["dice"])


def render(loaded: Params, summary: dict[str, Any], tiles: list[dict[str, Any]]) -> str:
    """The page."""
    first = loaded.split.run[0]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        source=loaded.data.source,
        folds=loaded.split.run,
        total_folds=loaded.split.folds,
        record=json.loads((paths.history(first) / "record.json").read_text()),
        summary=summary,
        postprocess=json.loads(paths.POSTPROCESS.read_text()),
        gallery=tiles,
        truth=TRUTH,
        prediction=PREDICTION,
    )


@command
def main() -> None:
    """Write the report and print where it is."""
    loaded = params.load()
    summary = json.loads(paths.SUMMARY.read_text())
    page = render(loaded, summary, gallery(loaded.split.run, pd.read_csv(paths.SCORES)))
    with written_aside(paths.REPORT) as aside:
        aside.write_text(page, encoding="utf-8")
    for subset in ("validation", "test"):
        for name in ("lesion", "normal"):
            if row := summary[subset].get(name):
                clean = f", {row['clean']:.0%} left clean" if "clean" in row else ""
                print(f"{subset}, {row['images']} {name} images: Dice {row['dice']:.3f}, IoU {row['iou']:.3f}{clean}")
    print(f"report: {paths.REPORT}")


if __name__ == "__main__":
    main()
