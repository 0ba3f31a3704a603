"""Make an entry of the board from the scores of a recorded run, a commit.

    uv run python benchmarks/peers/record.py f08d1aa attention-unet --source busi

Writes docs/board/NAME.json, whose author, training and masks are to be filled in. The figures are computed anew from
the scores of the images. --source names the source where the commit is from before sources were recorded; --folds takes
some of the folds alone.
"""

import argparse
import io
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.folds import FOLDS, UNUSED
from breast_ultrasound.commands.compare.revisions import Revision, find
from breast_ultrasound.commands.compare.runs import read_scores
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import summarise_submission
from breast_ultrasound.submissions.board import BOARD, Entry, make_entry
from breast_ultrasound.submissions.images_to_score import digest_folds

_CONFIDENCE = 0.95


def with_source(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a table with the source of its images, where it has none."""
    return table.assign(source=source) if source else table


def entry_of(revision: Revision, name: str, source: str, folds: list[int] | None) -> Entry:
    """Return the entry of a run; `folds` are some of its folds, None for all."""
    tests = with_source(read_scores(revision)["test"], source)
    tests = tests[(tests["postprocessing"] == "after") & tests["fold"].isin(folds or tests["fold"])]
    table = with_source(read_table(io.StringIO(revision.read(FOLDS))), source)
    digests = {str(of): digest_folds(rows) for of, rows in table[table["fold"] != UNUSED].groupby("source")}
    return make_entry(name, summarise_submission(tests, _CONFIDENCE), tests, digests)


def main() -> None:
    """Write the entry that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("name")
    parser.add_argument("--source", default="")
    parser.add_argument("--folds", type=int, nargs="+")
    arguments = parser.parse_args()
    entry = entry_of(find(arguments.commit), arguments.name, arguments.source, arguments.folds)
    path: Path = BOARD / f"{arguments.name}.json"
    path.write_text(entry.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
