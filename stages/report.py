"""Write what people look at: metrics/report.html, metrics/model_card.md and metrics/examples.

The report is one self-contained file: headline figures, charts, a gallery of every test image and the contact sheets of
the audit. The examples are the worst, median and best lesion images, for `dvc plots`.
"""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from stages.cases.folds import GROUPS, Run, remove_other_folds
from stages.cases.images import read_grey
from stages.cases.prepared import PREPARED, read_index
from stages.cases.release import RAW, Case, read_merged_mask, scan
from stages.pages import charts
from stages.pages.overlay import PREDICTION, TRUTH, contour_path, encode, overlay
from stages.pages.rendering import jpeg, render, shrink, shrink_mask
from stages.pages.trainings import describe
from stages.pipeline.arrays import Grey
from stages.pipeline.engine import map_on_all_cores
from stages.pipeline.errors import command
from stages.pipeline.files import written_aside
from stages.pipeline.params import Section, Seed, load
from stages.repeats.quality import FLAGS, summarise
from stages.scoring import error_kinds
from stages.scoring.figures import FIGURES, PER_IMAGE, PLOTS
from stages.scoring.intervals import Intervals
from stages.scoring.postprocess import POSTPROCESS, Steps, binary_mask, read_steps
from stages.scoring.predictions import Prediction, map_predictions, predictions
from stages.training.history import HISTORIES, read_curve, read_record

REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
EXAMPLES = Path("metrics/examples")

_WIDTH = 320
_SMALL_WIDTH = 160


class Source(Section, extra="ignore"):
    """Where the images came from."""

    source: str


class Split(Run):
    """Which of how many folds were run."""

    folds: int


class Report(Section):
    """What the report shows."""

    examples: Annotated[int, Field(ge=1)]


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: Source
    split: Split
    intervals: Intervals
    report: Report


@dataclass(frozen=True)
class Tile:
    """A test image for the gallery, and a drawing of it for the examples."""

    id: str
    image: str
    probability: str
    height: int
    contours: dict[str, str]
    example: bytes


def draw_tile(steps: Steps, prediction: Prediction) -> Tile | None:
    """The tile of a test image; nothing for a validation image."""
    if prediction.subset != "test":
        return None
    masks = {
        "truth": prediction.truth,
        "before": binary_mask(prediction.probability, Steps()),
        "after": binary_mask(prediction.probability, steps),
    }
    image = read_grey(prediction.case.image)
    small = shrink(image, _WIDTH)
    return Tile(
        id=prediction.case.id,
        image=jpeg(small),
        probability=jpeg(shrink(prediction.probability, _SMALL_WIDTH)),
        height=small.shape[0],
        contours={name: contour_path(shrink_mask(mask, _WIDTH)) for name, mask in masks.items()},
        example=encode(overlay(image, [(masks["truth"], TRUTH), (masks["after"], PREDICTION)]), ".jpg"),
    )


def gallery(loaded: Params, cases: list[Case], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The test images of all folds that were run with their scores after and `before` post-processing, worst first."""
    index = read_index(PREPARED)
    tested = scores[scores["subset"] == "test"]
    rows = {stage: group.set_index("id").to_dict("index") for stage, group in tested.groupby("stage")}
    items = []
    for fold in loaded.split.run:
        draw = partial(draw_tile, read_steps(POSTPROCESS, f"fold-{fold}"))
        for tile in map_predictions(draw, predictions(fold), cases, index, f"draw fold {fold}"):
            if tile:
                items.append({"tile": tile, **rows["after"][tile.id], "before": rows["before"][tile.id]})
    return sorted(items, key=lambda item: item["dice"])


def write_examples(items: list[dict[str, Any]], each: int, folder: Path) -> None:
    """Write the worst, the median and the best of the lesion images, which come sorted by Dice, `each` of these."""
    folder.mkdir()
    lesions = [item for item in items if item["class"] != "normal"]
    middle = max(0, len(lesions) // 2 - each // 2)
    chosen = {
        "worst": lesions[:each],
        "median": lesions[middle : middle + each],
        "best": lesions[-each:][::-1],
    }
    for name, members in chosen.items():
        for number, item in enumerate(members, 1):
            (folder / f"{name}_{number:02}.jpg").write_bytes(item["tile"].example)


def sheet(case: Case, row: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """One picture of the contact sheets: an image with its true contour, its flags and its likeness to the group."""
    image = read_grey(case.image)
    flags = [flag.replace("_", " ") for flag in FLAGS if row[flag]]
    if row["dropped"] != "no":
        flags.append(f"dropped: {row['dropped']}")
    small: Grey = shrink(image, _SMALL_WIDTH)
    mask = shrink_mask(read_merged_mask(case, *image.shape), _SMALL_WIDTH)
    return {**row, "flags": flags, "picture": jpeg(overlay(small, [(mask, TRUTH)])), "height": small.shape[0]}


def contact_sheets(
    table: pd.DataFrame, cases: list[Case]
) -> tuple[list[list[dict[Hashable, Any]]], list[dict[Hashable, Any]]]:
    """The groups of repeats, conflicts first, and the other images with a flag that is not marks alone."""
    repeated = table["group"].duplicated(keep=False)
    shown = table[repeated | table[list(FLAGS)].drop(columns="marks").any(axis=1)]
    case_by_id = {case.id: case for case in cases}
    rows = shown.astype(object).where(shown.notna(), None).to_dict("records")
    groups: dict[int, list[dict[Hashable, Any]]] = {}
    for drawn in map_on_all_cores(lambda row: sheet(case_by_id[row["id"]], row), rows, "draw contact sheets"):
        groups.setdefault(drawn["group"], []).append(drawn)
    repeats = sorted((group for group in groups.values() if len(group) > 1), key=lambda group: not group[0]["conflict"])
    return repeats, [group[0] for group in groups.values() if len(group) == 1]


def draw_charts(folds: tuple[int, ...]) -> list[str]:
    """The charts of the report."""
    histories = [
        pd.DataFrame({"train": read_curve(fold, "lesion_dice"), "validation": read_curve(fold, "val_lesion_dice")})
        for fold in folds
    ]
    drawn = [charts.curves(histories)]
    for chart in (
        charts.dice_distribution,
        charts.dice_by_size,
        charts.precision_recall,
        charts.reliability,
        charts.error_kinds,
    ):
        drawn.append(chart(pd.read_csv(PLOTS / f"{chart.__name__}.csv")))
    return drawn


def facts(loaded: Params, groups: pd.DataFrame) -> dict[str, Any]:
    """What both the report and the model card tell of the run, whose groups.csv is given."""
    return {
        "params": loaded,
        "size": read_index(PREPARED)["size"].iloc[0],
        "training": describe({fold: read_record(fold) for fold in loaded.split.run}),
        "figures": json.loads(FIGURES.read_text()),
        "postprocess": json.loads(POSTPROCESS.read_text()),
        "audit": summarise(groups),
        "kinds": error_kinds,
    }


def print_summary(figures: dict[str, Any]) -> None:
    """The figures that a run ends with."""
    for subset in ("validation", "test"):
        after = figures[subset]["after"]
        if "lesion" in after:
            dice, iou = (after["lesion"]["mean per image"][name] for name in ("dice", "iou"))
            scores = f"Dice {dice['value']:.3f} ({dice['low']:.3f} to {dice['high']:.3f}), IoU {iou['value']:.3f}"
            print(f"{subset}: {after['lesion']['images']} lesion images, {scores}")
        if "normal" in after:
            clean = after["normal"]["normals left clean"]["value"]
            print(f"{subset}: {after['normal']['images']} normal images, {clean:.0%} left clean")
    print(f"report: {REPORT}")


@command
def main() -> None:
    """Write the report, the model card and the examples, and print the figures."""
    loaded, groups = load(Params), pd.read_csv(GROUPS)
    remove_other_folds(HISTORIES, loaded.split.run)
    cases, known = scan(RAW), facts(loaded, groups)
    items = gallery(loaded, cases, pd.read_csv(PER_IMAGE))
    repeats, flagged = contact_sheets(groups, cases)
    page = render(
        "report.html.j2",
        **known,
        items=items,
        width=_WIDTH,
        sheet_width=_SMALL_WIDTH,
        repeats=repeats,
        flagged=flagged,
        charts=draw_charts(loaded.split.run),
        truth=TRUTH,
        prediction=PREDICTION,
    )
    with written_aside(REPORT) as aside:
        aside.write_text(page, encoding="utf-8")
    with written_aside(MODEL_CARD) as aside:
        aside.write_text(render("model_card.md.j2", **known), encoding="utf-8")
    with written_aside(EXAMPLES) as folder:
        write_examples(items, loaded.report.examples, folder)
    print_summary(known["figures"])


if __name__ == "__main__":
    main()
