"""Write metrics/report.html, one self-contained file: the summary, every test image with both contours, the audit."""

import base64
import json
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common import params, paths
from stages.common.errors import command
from stages.common.files import written_aside
from stages.common.images import Grey, Mask, map_on_all_cores, read_grey
from stages.common.overlay import PREDICTION, TRUTH, Colour, encode, overlay
from stages.common.params import Params
from stages.common.postprocess import binary_mask, read_threshold
from stages.common.predictions import Prediction, map_predictions
from stages.common.prepared import read_index
from stages.common.quality import FLAGS
from stages.common.release import Case, read_merged_mask, scan

TEMPLATE = Path(__file__).parent / "report.html.j2"
_WIDTH = 320
_SHEET_WIDTH = 200


def shrink(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Scale uint8 [height, width] to a width, by area averaging."""
    size = (width, max(1, round(width * pixels.shape[0] / pixels.shape[1])))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def picture(image: Grey, masks: list[tuple[Mask, Colour]], width: int) -> dict[str, Any]:
    """An image with the contours of masks as a JPEG for the page: its base64 text, width and height."""
    small = [(shrink(mask.astype(np.uint8) * 255, width) > 127, colour) for mask, colour in masks]
    drawn = overlay(shrink(image, width), small)
    return {"data": base64.b64encode(encode(drawn, ".jpg")).decode(), "width": width, "height": drawn.shape[0]}


def tile(threshold: float, prediction: Prediction) -> dict[str, Any] | None:
    """One picture of the gallery; nothing for a validation image."""
    if prediction.subset != "test":
        return None
    predicted, truth = binary_mask(prediction.probability, threshold), prediction.truth
    image = read_grey(prediction.case.image)
    return {
        "id": prediction.case.id,
        "picture": picture(image, [(truth, TRUTH), (predicted, PREDICTION)], _WIDTH),
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


def sheet(case: Case, row: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """One picture of the contact sheets: an image with its true contour, its flags and its likeness to the group."""
    image = read_grey(case.image)
    flags = [flag.replace("_", " ") for flag in FLAGS if row[flag]]
    if row["dropped"] != "no":
        flags.append(f"dropped: {row['dropped']}")
    mask = read_merged_mask(case, *image.shape)
    return {**row, "picture": picture(image, [(mask, TRUTH)], _SHEET_WIDTH), "flags": flags}


def contact_sheets(table: pd.DataFrame) -> tuple[list[list[dict[Hashable, Any]]], list[dict[Hashable, Any]]]:
    """The groups of repeats, conflicts first, and the other images with a flag."""
    repeated = table["group"].duplicated(keep=False)
    shown = table[repeated | table[list(FLAGS)].drop(columns="marks").any(axis=1)]
    case_by_id = {case.id: case for case in scan(paths.RAW)}
    rows = shown.astype(object).where(shown.notna(), None).to_dict("records")
    sheets = list(map_on_all_cores(lambda row: sheet(case_by_id[row["id"]], row), rows, "draw contact sheets"))
    groups: dict[int, list[dict[Hashable, Any]]] = {}
    for drawn in sheets:
        groups.setdefault(drawn["group"], []).append(drawn)
    repeats = sorted((group for group in groups.values() if len(group) > 1), key=lambda group: not group[0]["conflict"])
    return repeats, [group[0] for group in groups.values() if len(group) == 1]


def render(loaded: Params, summary: dict[str, Any], tiles: list[dict[str, Any]], table: pd.DataFrame) -> str:
    """The page."""
    first = loaded.split.run[0]
    repeats, flagged = contact_sheets(table)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        source=loaded.data.source,
        folds=loaded.split.run,
        total_folds=loaded.split.folds,
        record=json.loads((paths.history(first) / "record.json").read_text()),
        summary=summary,
        postprocess=json.loads(paths.POSTPROCESS.read_text()),
        audit=json.loads(paths.AUDIT.read_text()),
        gallery=tiles,
        repeats=repeats,
        flagged=flagged,
        truth=TRUTH,
        prediction=PREDICTION,
    )


@command
def main() -> None:
    """Write the report and print where it is."""
    loaded = params.load()
    summary = json.loads(paths.SUMMARY.read_text())
    tiles = gallery(loaded.split.run, pd.read_csv(paths.SCORES))
    page = render(loaded, summary, tiles, pd.read_csv(paths.GROUPS))
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
