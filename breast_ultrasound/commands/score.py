"""Score the masks of any system by the rules of this project: `uv run score MASKS --name NAME`.

MASKS is a folder with a mask for each test image that is checked out, named by its id or by the file of the release:
pictures, NIfTI, .npy or DICOM Segmentation; or one COCO file. --probabilities names a folder of probabilities: pictures
of 8 or 16 bits, NIfTI or .npy. They add what masks do not tell, calibration and the area under the ROC curve; without
MASKS they are cut at one half. --classes names a table with the class probabilities of each image; it adds the figures
of the class.

Scored are the folds of split.run in params.yaml, or those of --folds; with --data all images of a case table instead,
grouped as the audit does it. Nothing is scored unless every image has one file that can be read in one way; all faults
are named at once.

Writes OUT/NAME: scores.csv, figures.json, the masks, and board.json, an entry of docs/board.md. `uv run compare` takes
this folder as it takes a commit. Not part of the pipeline.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from breast_ultrasound.auditing.search import Thresholds
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.folds import Run
from breast_ultrasound.cases.ids import is_safe
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write, write_json
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import summarise_submission
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.pixels import calibration_error
from breast_ultrasound.submissions import scored
from breast_ultrasound.submissions.board import Entry, Figure, make_entry
from breast_ultrasound.submissions.cases import open_cases
from breast_ultrasound.submissions.images_to_score import ImagesToScore, audit_cases, read_tested
from breast_ultrasound.submissions.scoring import score_submission
from breast_ultrasound.submissions.submission import open_submission


class Params(Section):
    """What this command reads of params.yaml."""

    seed: Seed
    audit: Thresholds
    split: Run
    intervals: Intervals


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", metavar="MASKS", nargs="?", type=Path, help="a folder or a COCO file (.json)")
    parser.add_argument("--name", required=True, help="name of the system")
    parser.add_argument("--probabilities", metavar="FOLDER", type=Path, help="a folder of probabilities")
    parser.add_argument(
        "--classes", metavar="TABLE", type=Path, help=f"a CSV table with the columns id, {', '.join(CLASSES)}"
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--folds", type=int, nargs="+", metavar="FOLD", help="score the test images of these folds")
    images.add_argument("--data", metavar="CASES.CSV", type=Path, help="score all images of this case table")
    parser.add_argument("--out", type=Path, default=scored.SCORED, help="where the results go (%(default)s)")
    arguments = parser.parse_args()
    if not arguments.masks and not arguments.probabilities:
        parser.error("name MASKS, --probabilities or both")
    if not is_safe(arguments.name):
        parser.error(f"--name {arguments.name!r} can't be the name of a folder; letters, digits, spaces and - do")
    return arguments


def choose_images(cases: Sequence[Case], arguments: argparse.Namespace, params: Params) -> ImagesToScore:
    """Return the images that are scored, of the cases of a table or of those that are checked out."""
    if arguments.data:
        return audit_cases(cases, params.audit, params.seed)
    return read_tested(cases, arguments.folds or params.split.run)


def rows(entry: Entry) -> Iterator[str]:
    """Yield a table in the form of the README's results, a row for each source."""
    yield "| data | system | lesion Dice | missed lesions | specificity on normal images |"
    yield "| --- | --- | --- | --- | --- |"
    for source, figures in entry.sources.items():
        folds = f", folds {' '.join(map(str, figures.tested))}" if figures.folds else ""
        missed, normal = (
            figure.percent() if figure else "–" for figure in (figures.missed_lesions, figures.normal_specificity)
        )
        about = f"{source}{folds}, {figures.images} images | {entry.system}"
        yield f"| {about} | {figures.lesion_dice or '–'} | {missed} | {normal} |"


def class_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures of the class, of `summarise_submission`; none where no class probabilities were given."""
    classes = figures["test"].get("classes", {})
    for key, name in (
        ("accuracy", "class accuracy"),
        ("malignant against benign", "AUC, malignant against benign"),
        ("lesion against normal", "AUC, lesion against normal"),
    ):
        if key in classes:
            yield f"{name}: {Figure.model_validate(classes[key])}"


@command
def main() -> None:
    """Score the system that the command line names."""
    arguments, params = parse(), load(Params)
    target = arguments.out / arguments.name
    with open_cases(arguments.data) as cases:
        images = choose_images(cases, arguments, params)
        submission = open_submission(images, arguments.masks, arguments.probabilities, arguments.classes)
        with atomic_write(target) as folder:
            (folder / scored.MASKS).mkdir(parents=True)
            scores, levels = score_submission(submission, images, folder)
            scores.to_csv(folder / scored.SCORES, index=False, float_format="%.6f")
            # Read back, so that figures follow from the file alone.
            scores = read_table(folder / scored.SCORES)
            figures = summarise_submission(scores, params.intervals.confidence)
            if submission.probabilities:
                figures["test"]["calibration error"] = calibration_error(levels)
            data = str(arguments.data) if arguments.data else None
            write_json(folder / scored.FIGURES, figures | {scored.DATA: data})
            entry = make_entry(arguments.name, figures, scores, images.folds)
            write_json(folder / scored.ENTRY, entry.model_dump())
    print("\n".join([*submission.notes, *rows(entry), *class_lines(figures), f"written: {target}"]))


if __name__ == "__main__":
    main()
