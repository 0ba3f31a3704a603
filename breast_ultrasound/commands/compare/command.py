"""Compare two runs image by image: `uv run compare REV [REV]`.

REV is a commit, a branch, a tag or an experiment; without a second one the first is compared with what is checked out.
Says for each figure the difference, second less first, with an interval, p (the two runs swapped by groups of patients
and repeated frames) and whether it is more than noise, lists the test images that gained and lost most, and tells where
an audit joined patients. External test sets of both runs are compared as well. Needs Git alone, but --html, which
shows these images with the masks of both runs, needs the data and predictions in DVC's cache or remote. Runs whose
images, grids, true masks or scoring rules differ are refused. Not part of the pipeline.
"""

import argparse
import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS, Fitted, read_fitted
from breast_ultrasound.answers.predictions import Prediction, map_predictions, predictions
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.prepared import INDEX, PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, find_case
from breast_ultrasound.commands.compare.revisions import Revision, find
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, overlay
from breast_ultrasound.pages.rendering import jpeg, render, shrink, shrink_mask
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring import external
from breast_ultrasound.scoring.comparison import SUBSETS, Change, changes, most_changed, pair, rules
from breast_ultrasound.scoring.figures import PER_IMAGE
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import PairedTest

# Where the scoring rules stand, and where earlier commits keep them.
_RULES = tuple(Path(room, "scores.py") for room in ("breast_ultrasound/scoring", "stages/scoring", "stages/common"))
_WIDTH = 420


class Params(Section):
    """What this command reads of params.yaml."""

    seed: Seed
    intervals: Intervals


@dataclass(frozen=True)
class Comparison:
    """What two runs differ in: the figures of each subset, and the test images that gained and lost most.

    `renamed` counts, by run, the images of frames that are filed under several patients.
    """

    first: Revision
    second: Revision
    changes: dict[str, list[Change]]
    images: int
    gained: pd.DataFrame
    lost: pd.DataFrame
    renamed: dict[str, int]


def compare(first: Revision, second: Revision, test: PairedTest, images: int) -> Comparison:
    """Compare two revisions; UserError names in what they cannot be compared."""
    try:
        if rules(first.read_first(_RULES)) != rules(second.read_first(_RULES)):
            raise UserError(
                f"their scoring rules differ, in {_RULES[0]}. Run `uv run dvc repro` with the same rules for both."
            )
        one, two = (read_scores(revision) for revision in (first, second))
        sets = sorted(set(one["subset"]) & set(two["subset"]) - set(SUBSETS))
        paired = {subset: pair(one, two, subset) for subset in (*SUBSETS, *sets)}
    except UserError as error:
        raise UserError(f"{first.name} and {second.name} cannot be compared: {error}") from error
    found = {subset: changes(both, test) for subset, both in paired.items()}
    gained, lost = most_changed(paired["test"], images)
    renamed = {revision.name: several_patients(revision) for revision in (first, second)}
    return Comparison(first, second, found, len(paired["test"]), gained, lost, renamed)


def read_scores(revision: Revision) -> pd.DataFrame:
    """The scores of the validation and test images of a run and, where it has some, of its external test sets."""
    tables = [read_table(io.StringIO(revision.read(PER_IMAGE)))]
    with contextlib.suppress(UserError):
        tables.append(read_table(io.StringIO(revision.read(external.PER_IMAGE))))
    return pd.concat([table for table in tables if len(table)])


def several_patients(revision: Revision) -> int:
    """How many images are of a frame that is filed under several patients; 0 where no patient was recorded."""
    groups = read_table(io.StringIO(revision.read(GROUPS)))
    return int(groups["several_patients"].sum()) if "several_patients" in groups else 0


def picture(fitted: Fitted, prediction: Prediction) -> tuple[str, str]:
    """The id of a test image, and its picture with the true and the predicted contour."""
    image, truth = shrink(read_grey(prediction.case.image), _WIDTH), shrink_mask(prediction.truth, _WIDTH)
    predicted = shrink_mask(fitted.answer(prediction.probability, prediction.logits).mask, _WIDTH)
    return prediction.case.id, jpeg(overlay(image, [(truth, TRUTH), (predicted, PREDICTION)]))


def draw(revision: Revision, chosen: pd.DataFrame) -> dict[str, str]:
    """The pictures of one run, by id; `chosen` has the columns id, class and fold, the one that tests the image."""
    outputs = [PREPARED / INDEX, POSTPROCESS, *(predictions(fold) for fold in set(chosen["fold"]))]
    for cls, case_id in zip(chosen["class"], chosen["id"], strict=True):
        outputs += [RAW / cls / f"{case_id}.png", RAW / cls / f"{case_id}_mask*.png"]
    drawn = {}
    # Where the machines of a cluster see it as well.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".partial-") as name:
        folder = Path(name)
        revision.fetch(outputs, folder)
        index = read_index(folder / PREPARED)
        for fold, members in chosen.groupby("fold"):
            draw_one = partial(picture, read_fitted(folder / POSTPROCESS, f"fold-{fold}"))
            names = zip(members["class"], members["id"], strict=True)
            fold_cases = [find_case(folder / RAW, cls, case_id) for cls, case_id in names]
            predicted, told = folder / predictions(int(str(fold))), f"draw {revision.name}"
            drawn |= dict(map_predictions(draw_one, predicted, ["test"], fold_cases, index, told))
    return drawn


def page(comparison: Comparison, confidence: float) -> str:
    """The comparison as one self-contained HTML page, the pictures of both runs side by side."""
    shown = pd.concat([comparison.gained, comparison.lost])
    pictures = {}
    for run, revision in (("first", comparison.first), ("second", comparison.second)):
        chosen = shown[["id", "class", f"fold_{run}"]].rename(columns={f"fold_{run}": "fold"})
        pictures[run] = draw(revision, chosen) if len(chosen) else {}
    rows = {name: getattr(comparison, name).to_dict("records") for name in ("gained", "lost")}
    return render(
        "compare.html.j2",
        comparison=comparison,
        confidence=confidence,
        rows=rows,
        pictures=pictures,
        width=_WIDTH,
        truth=TRUTH,
        prediction=PREDICTION,
    )


def tell(comparison: Comparison, confidence: float) -> Iterator[str]:
    """The lines that the command prints."""
    first, second = comparison.first.name, comparison.second.name
    yield f"{comparison.images} test images; difference: {second} less {first}, with its {confidence:.0%} interval"
    for subset, found in comparison.changes.items():
        yield f"\n{subset:20}{first:>14.14}{second:>14.14}   difference"
        for change in found:
            by = change.difference
            told = f"{by.value:+.3f} ({by.low:+.3f} to {by.high:+.3f})  p {by.p:.4f}  {by.verdict}"
            yield f"  {change.name:18}{change.first:14.3f}{change.second:14.3f}   {told}"
    for name, rows in (("gained", comparison.gained), ("lost", comparison.lost)):
        yield f"\n{name} most on test, Dice"
        for row in rows.itertuples():
            yield f"  {row.id:18}{row.dice_first:14.3f}{row.dice_second:14.3f}   {row.gain:+.3f}"
        if rows.empty:
            yield "  none"
    for name, images in comparison.renamed.items():
        if images:
            yield f"\n{name}: {images} images are of a frame filed under several patients, which count as one"
    yield "\nNoise is what other images would change; what another training would change is not in it."


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="REV", help="commit, branch, tag or experiment")
    parser.add_argument("second", metavar="REV", nargs="?", help="another one (default: what is checked out)")
    parser.add_argument("--images", type=int, default=5, help="how many images to list at most (%(default)s)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the masks of both runs")
    return parser.parse_args()


@command
def main() -> None:
    """Compare the runs named on the command line."""
    arguments = parse()
    loaded = load(Params)
    second = find(arguments.second) if arguments.second else Revision("checked out", None)
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    comparison = compare(find(arguments.first), second, test, arguments.images)
    print("\n".join(tell(comparison, loaded.intervals.confidence)))
    if arguments.html:
        content = page(comparison, loaded.intervals.confidence)
        with written_aside(arguments.html) as aside:
            aside.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
