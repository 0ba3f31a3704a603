"""Write what people look at: metrics/report.html, metrics/model_card.md and metrics/examples.

The report is one self-contained file: headline figures, a gallery of the test images with a table of them all, charts,
figures, and the contact sheets of the audit; the gallery and each sheet hold at most `report.gallery` pictures. The
examples are the worst, median and best lesion images, for `dvc plots`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from breast_ultrasound.cases.folds import GROUPS, Run
from breast_ultrasound.cases.raw import RAW, Case, SourceNames, read_cases
from breast_ultrasound.pages.charts import draw_charts
from breast_ultrasound.pages.contact_sheets import build_contact_sheets
from breast_ultrasound.pages.examples import write_examples
from breast_ultrasound.pages.facts import read_facts
from breast_ultrasound.pages.gallery import build_gallery
from breast_ultrasound.pages.rendering import render
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import PER_IMAGE
from breast_ultrasound.scoring.intervals import Intervals

REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
EXAMPLES = Path("metrics/examples")


class SplitFolds(Run):
    """How folds were made, and which of how many were run."""

    by: str
    folds: int


class Report(Section):
    """How many pictures the report shows."""

    examples: Annotated[int, Field(ge=1, le=1000)]
    gallery: Annotated[int, Field(ge=1, le=100_000)]


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: SourceNames
    split: SplitFolds
    intervals: Intervals
    report: Report


def tabulate_tested(scores: pd.DataFrame, cases: Sequence[Case]) -> pd.DataFrame:
    """Return the test images of all folds that were run, by id in the order of `cases`.

    Their scores are those after post-processing; `dice_before` and `kind_before` are those without it.
    """
    tested = scores[scores["subset"] == "test"].set_index("id")
    after, before = (tested[tested["postprocessing"] == when] for when in ("after", "before"))
    joined = after.join(before[["dice", "kind"]].add_suffix("_before"))
    return joined.loc[[case.id for case in cases if case.id in joined.index]]


def print_summary(figures: dict[str, Any]) -> None:
    """Print the figures that a run ends with, and where its report is."""
    subsets = {name: figures[name] for name in ("validation", "test") if name in figures}
    by_source = {f"test, {source}": summary for source, summary in figures.get("test by source", {}).items()}
    for subset, summary in (subsets | by_source).items():
        after = summary["after"]
        if "lesion" in after:
            dice, iou = (after["lesion"]["mean per image"][name] for name in ("dice", "iou"))
            interval = f" ({dice['low']:.3f} to {dice['high']:.3f})" if dice["low"] is not None else ""
            scores = f"Dice {dice['value']:.3f}{interval}, IoU {iou['value']:.3f}"
            print(f"{subset}: {after['lesion']['images']} lesion images, {scores}")
        if "specificity on normal images" in after["all"]:
            specificity = after["all"]["specificity on normal images"]
            print(f"{subset}: {specificity['images']} normal images, specificity {specificity['value']:.3f}")
    print(f"report: {REPORT.resolve().as_uri()}")


@command
def main() -> None:
    """Write the report, the model card and the examples, and print the figures."""
    loaded, audit, cases = load(Params), read_table(GROUPS), read_cases(RAW)
    tested = tabulate_tested(read_table(PER_IMAGE), cases)
    facts: dict[str, Any] = {"params": loaded} | read_facts(loaded.split.run, audit)
    report = render(
        "report.html.j2",
        **facts,
        **build_gallery(tested, cases, loaded.report.gallery, loaded.seed),
        **build_contact_sheets(audit, cases, loaded.report.gallery, loaded.seed),
        charts=draw_charts(loaded.split.run),
    )
    with atomic_write(REPORT) as path:
        path.write_text(report, encoding="utf-8")
    with atomic_write(MODEL_CARD) as path:
        path.write_text(render("model_card.md.j2", **facts), encoding="utf-8")
    with atomic_write(EXAMPLES) as folder:
        write_examples(tested, cases, loaded.report.examples, folder)
    print_summary(facts["figures"])


if __name__ == "__main__":
    main()
