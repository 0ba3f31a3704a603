"""How well `segment` does on the test images of the run that is checked out, from files to files.

    uv run python benchmarks/segment_scores.py --fold 0
    uv run python benchmarks/segment_scores.py --fold 0 --model breast_ultrasound/pretrained/attention-unet.onnx

Copies the images of a fold, which the network must not have been trained on, to a temporary folder, runs the command on
it and scores the masks that it wrote by the rules of scoring/scores.py. Takes data/raw and data/folds.csv:
`uv run dvc repro split` makes them.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.folds import FOLDS
from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.cases.raw import RAW, Case, read_cases, read_merged_mask
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.lesions import has_lesion, is_empty, is_missed
from breast_ultrasound.scoring.scores import add_scores, count


def segment(cases: list[Case], masks: Path, model: str | None) -> None:
    """Write a mask for each case with the command, by links to the images."""
    with tempfile.TemporaryDirectory() as scans:
        for case in cases:
            (Path(scans) / case.image.name).symlink_to(case.image.resolve())
        command = [sys.executable, "-m", "breast_ultrasound.commands.segment.command", scans, "--output", str(masks)]
        subprocess.run([*command, *(["--model", model] if model else [])], check=True)


def score(case: Case, masks: Path) -> dict[str, int]:
    """Return the pixel counts of a mask that was written."""
    predicted = read_mask(masks / f"{case.image.stem}_mask.png")
    return count(predicted, read_merged_mask(case, *predicted.shape))


def main() -> None:
    """Segment, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--model", help="an exported network; by default the one that segment chooses")
    arguments = parser.parse_args()
    folds = read_table(FOLDS)
    tested = set(folds.loc[folds["fold"] == arguments.fold, "id"])
    cases = [case for case in read_cases(RAW) if case.id in tested]
    with tempfile.TemporaryDirectory() as masks:
        segment(cases, Path(masks), arguments.model)
        scores = add_scores(pd.DataFrame([score(case, Path(masks)) for case in cases]))
    lesions = has_lesion(scores)
    print(
        f"lesion Dice {scores.loc[lesions, 'dice'].mean():.3f}, {is_missed(scores)[lesions].mean():.1%} of them missed"
    )
    print(
        f"specificity on normal images {is_empty(scores)[~lesions].mean():.1%}; all images {scores['dice'].mean():.3f}"
    )


if __name__ == "__main__":
    main()
