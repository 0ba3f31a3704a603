"""Write what people look at: metrics/report.html, metrics/model_card.md and metrics/examples.

The report is one self-contained file: headline figures, charts, a table of every test image, a gallery of them and the
contact sheets of the audit, each of at most `report.gallery` pictures. The examples are the worst, median and best
lesion images, for `dvc plots`.
"""

import itertools
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pandas as pd
from pydantic import Field

from breast_ultrasound.answers.answer import POSTPROCESS, Fitted, read_fitted
from breast_ultrasound.answers.predictions import Prediction, map_predictions, predictions
from breast_ultrasound.cases.folds import GROUPS, Run
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, Case, read_cases, read_merged_mask
from breast_ultrasound.pages import charts, selection
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, encode, overlay
from breast_ultrasound.pages.rendering import jpeg, outline, render, shrink, shrink_mask
from breast_ultrasound.pages.trainings import describe
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.repeats.quality import FLAGS, summarise
from breast_ultrasound.scoring import error_kinds, external
from breast_ultrasound.scoring.figures import FIGURES, PER_IMAGE, PLOTS
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.training.history import read_curve, read_record

REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
EXAMPLES = Path("metrics/examples")

_WIDTH = 320
_SMALL_WIDTH = 160

# What the page's table and its controls know of a test image.
_COLUMNS = ["id", "class", "kind", "dice_before", "dice", "lesion_share", "marks"]

T = TypeVar("T")


class Source(Section, extra="ignore"):
    """Where the images came from."""

    source: str


class Split(Run):
    """Which of how many folds were run."""

    folds: int


class Report(Section):
    """What the report shows."""

    examples: Annotated[int, Field(ge=1)]
    gallery: Annotated[int, Field(ge=1)]


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: Source
    split: Split
    intervals: Intervals
    report: Report


@dataclass(frozen=True)
class Tile:
    """The pictures of a test image in the gallery: JPEG as base64, and contours as SVG paths."""

    id: str
    image: str
    probability: str
    height: int
    contours: dict[str, str]


def tabulate(scores: pd.DataFrame, cases: Sequence[Case]) -> pd.DataFrame:
    """The test images of all folds that were run, by id in the order of `cases`: their scores after post-processing,
    and as `dice_before` and `kind_before` those of the bare network.
    """
    tested = scores[scores["subset"] == "test"]
    after, before = (tested[tested["stage"] == stage].set_index("id") for stage in ("after", "before"))
    joined = after.join(before[["dice", "kind"]].add_suffix("_before"))
    return joined.loc[[case.id for case in cases if case.id in joined.index]]


def draw(
    work: Callable[[Fitted, Prediction], T], chosen: pd.DataFrame, cases: Sequence[Case], label: str
) -> dict[str, T]:
    """What `work` makes of test images and the post-processing of their fold, by id.

    `chosen` holds the images by id, with the column `fold`, the one that tests the image; no other image is read.
    """
    index, drawn = read_index(PREPARED), {}
    for fold, members in chosen["fold"].groupby(chosen["fold"]):
        number = int(str(fold))
        named = partial(_named, partial(work, read_fitted(POSTPROCESS, f"fold-{number}")))
        fold_cases = [case for case in cases if case.id in members.index]
        folder, told = predictions(number), f"{label}, fold {number}"
        drawn |= dict(map_predictions(named, folder, ["test"], fold_cases, index, told))
    return drawn


def _named(work: Callable[[Prediction], T], prediction: Prediction) -> tuple[str, T]:
    return prediction.case.id, work(prediction)


def draw_tile(fitted: Fitted, prediction: Prediction) -> Tile:
    """The tile of a test image."""
    masks = {
        "truth": prediction.truth,
        "before": Fitted().answer(prediction.probability, prediction.logits).mask,
        "after": fitted.answer(prediction.probability, prediction.logits).mask,
    }
    small = shrink(read_grey(prediction.case.image), _WIDTH)
    return Tile(
        id=prediction.case.id,
        image=jpeg(small),
        probability=jpeg(shrink(prediction.probability, _SMALL_WIDTH)),
        height=small.shape[0],
        contours={name: outline(mask, _WIDTH) for name, mask in masks.items()},
    )


def draw_example(fitted: Fitted, prediction: Prediction) -> bytes:
    """A test image with its true and its predicted contour, as a JPEG file."""
    predicted = fitted.answer(prediction.probability, prediction.logits).mask
    masks = [(prediction.truth, TRUTH), (predicted, PREDICTION)]
    return encode(overlay(read_grey(prediction.case.image), masks), ".jpg")


def write_examples(tested: pd.DataFrame, cases: Sequence[Case], each: int, folder: Path) -> None:
    """Write the worst, the median and the best of the lesion images by Dice, `each` of these."""
    folder.mkdir()
    chosen = selection.examples(tested, each)
    drawn = draw(draw_example, tested[tested.index.isin(itertools.chain(*chosen.values()))], cases, "draw examples")
    for name, members in chosen.items():
        for number, case_id in enumerate(members, 1):
            (folder / f"{name}_{number:02}.jpg").write_bytes(drawn[case_id])


def gallery(tested: pd.DataFrame, cases: Sequence[Case], most: int, seed: int) -> dict[str, Any]:
    """What the page shows of the test images: the pictures of at most `most`, worst first, and a line on each image."""
    reasons = selection.gallery(tested, most, seed)
    chosen = tested[tested.index.isin(itertools.chain(*reasons.values()))].sort_values("dice", kind="stable")
    tiles = draw(draw_tile, chosen, cases, "draw gallery")
    return {
        "items": [{"tile": tiles[str(case_id)], **row} for case_id, row in chosen.to_dict("index").items()],
        "reasons": {name: len(members) for name, members in reasons.items()},
        "classes": sorted(set(tested["class"])),
        "tested": tested.reset_index()[_COLUMNS].to_dict("split")["data"],
    }


def sheet(found: tuple[Case, dict[Hashable, Any]]) -> dict[Hashable, Any]:
    """One picture of the contact sheets: an image with its true contour, its flags and its likeness to the frame."""
    case, row = found
    image = read_grey(case.image)
    flags = [flag.replace("_", " ") for flag in FLAGS if row[flag]]
    if row["dropped"] != "no":
        flags.append(f"dropped: {row['dropped']}")
    small: Grey = shrink(image, _SMALL_WIDTH)
    mask = shrink_mask(read_merged_mask(case, *image.shape), _SMALL_WIDTH)
    return {**row, "flags": flags, "picture": jpeg(overlay(small, [(mask, TRUTH)])), "height": small.shape[0]}


def draw_sheets(table: pd.DataFrame, cases: Sequence[Case], label: str) -> list[dict[Hashable, Any]]:
    """The pictures of the images in rows of groups.csv, in their order."""
    case_by_id = {case.id: case for case in cases}
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return list(map_on_all_machines(sheet, [(case_by_id[row["id"]], row) for row in rows], label))


def contact_sheets(audit: pd.DataFrame, cases: Sequence[Case], most: int, seed: int) -> dict[str, Any]:
    """The repeated frames, the frames of sweeps, and the images that repeat none and carry a flag that is not marks
    alone, `most` pictures of each."""
    repeats, sweeps, flagged = selection.repeats(audit), selection.sweeps(audit), selection.flagged(audit, seed)
    repeated, swept = (draw_sheets(table[:most], cases, "draw repeats and sweeps") for table in (repeats, sweeps))
    return {
        "repeats": [list(members) for _, members in itertools.groupby(repeated, lambda item: item["frame"])],
        "sweeps": [list(members) for _, members in itertools.groupby(swept, lambda item: item["sweep"])],
        "flagged": draw_sheets(flagged[:most].sort_index(), cases, "draw flagged images"),
        "flagged_images": len(flagged),
    }


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
        "external": json.loads(external.FIGURES.read_text()),
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
            interval = f" ({dice['low']:.3f} to {dice['high']:.3f})" if dice["low"] is not None else ""
            scores = f"Dice {dice['value']:.3f}{interval}, IoU {iou['value']:.3f}"
            print(f"{subset}: {after['lesion']['images']} lesion images, {scores}")
        if "normals left clean" in after["all"]:
            clean = after["all"]["normals left clean"]
            print(f"{subset}: {clean['images']} images without a lesion, {clean['value']:.0%} left clean")
    print(f"report: {REPORT}")


@command
def main() -> None:
    """Write the report, the model card and the examples, and print the figures."""
    loaded, groups = load(Params), read_table(GROUPS)
    cases, known = read_cases(RAW), facts(loaded, groups)
    most, seed = loaded.report.gallery, loaded.seed
    tested = tabulate(read_table(PER_IMAGE), cases)
    page = render(
        "report.html.j2",
        **known,
        **gallery(tested, cases, most, seed),
        **contact_sheets(groups, cases, most, seed),
        width=_WIDTH,
        sheet_width=_SMALL_WIDTH,
        charts=draw_charts(loaded.split.run),
        truth=TRUTH,
        prediction=PREDICTION,
    )
    with written_aside(REPORT) as aside:
        aside.write_text(page, encoding="utf-8")
    with written_aside(MODEL_CARD) as aside:
        aside.write_text(render("model_card.md.j2", **known), encoding="utf-8")
    with written_aside(EXAMPLES) as folder:
        write_examples(tested, cases, loaded.report.examples, folder)
    print_summary(known["figures"])


if __name__ == "__main__":
    main()
