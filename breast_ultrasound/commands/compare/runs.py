"""What two runs differ in, read from the files that Git keeps of them, or that `score` wrote."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.commands.compare.revisions import Revision
from breast_ultrasound.commands.compare.systems import Run
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import PARAMS
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring import external
from breast_ultrasound.scoring.comparison import (
    SUBSETS,
    Change,
    changes,
    divide_by_source,
    most_changed,
    pair,
    unshared,
    without,
)
from breast_ultrasound.scoring.figures import FIGURES, PER_IMAGE
from breast_ultrasound.scoring.paired import PairedTest

# What earlier commits call the columns of scores, and kinds of error.
_EARLIER_COLUMNS = {"stage": "postprocessing", "expected_dice": "predicted_dice"}
_EARLIER_KINDS = {"missed": "false negative", "false alarm": "false positive"}


@dataclass(frozen=True)
class Comparison:
    """What two runs differ in: the figures of each subset, and the test images that gained and lost most Dice.

    `changes_by_source` are those of the test images of each source, where there are several. `images` is the number of
    test images; `left_out` names the sources and folds that one of the runs lacks, whose images are not compared.
    `several_patients` counts, by the name of the run, the images of frames that are filed under several patients.
    """

    first: Run
    second: Run
    changes: dict[str, list[Change]]
    changes_by_source: dict[str, list[Change]]
    left_out: list[str]
    images: int
    gained: pd.DataFrame
    lost: pd.DataFrame
    several_patients: dict[str, int]


def compare(first: Run, second: Run, test: PairedTest, listed: int) -> Comparison:
    """Compare two runs, and list at most `listed` images each that gained and that lost.

    UserError where one lacks its scores, or where images, grids, true masks or scoring rules differ.
    """
    try:
        versions = [read_scoring_rules(run) for run in (first, second)]
        if versions[0] != versions[1]:
            raise UserError(
                f"they were scored by versions {versions[0]} and {versions[1]} of the scoring rules. "
                "Run `uv run dvc repro` with the same version for both."
            )
        one, two = (read_scores(run) for run in (first, second))
        left_out = {column: unshared(one["test"], two["test"], column) for column in ("source", "fold")}
        sets = sorted({*one} & {*two} - {*SUBSETS})
        paired = {
            subset: pair(without(one[subset], left_out), without(two[subset], left_out), subset)
            for subset in (*SUBSETS, *sets)
            if subset in one and subset in two
        }
    except UserError as error:
        raise UserError(f"{first.name} and {second.name} cannot be compared: {error}") from error
    gained, lost = most_changed(paired["test"], listed)
    return Comparison(
        first=first,
        second=second,
        changes={subset: changes(both, test) for subset, both in paired.items()},
        changes_by_source={source: changes(both, test) for source, both in divide_by_source(paired["test"]).items()},
        left_out=[*left_out["source"], *(f"fold {fold}" for fold in left_out["fold"])],
        images=len(paired["test"]),
        gained=gained,
        lost=lost,
        several_patients={
            run.name: count_several_patients(run) for run in (first, second) if isinstance(run, Revision)
        },
    )


def read_scoring_rules(run: Run) -> int:
    """Read the version of the rules that a run was scored by; earlier runs, which do not record it, have the first."""
    return json.loads(run.read(FIGURES)).get("scoring rules", 1)


def read_scores(run: Run) -> dict[str, pd.DataFrame]:
    """Read by subset the scores of the validation and test images of a run, and of its external test sets, if any.

    The tables of external sets have no column `fold`. Earlier commits have a single source, that of their params; the
    source of external sets is empty. UserError where the run has no scores.
    """
    tables = [_read_table(run, PER_IMAGE, _only_source(run))]
    with contextlib.suppress(UserError):
        tables.append(_read_table(run, external.PER_IMAGE, ""))
    return {str(subset): rows for table in tables for subset, rows in table.groupby("subset")}


def count_several_patients(revision: Revision) -> int:
    """Count the images of frames that are filed under several patients; 0 where no patient was recorded."""
    groups = read_table(io.StringIO(revision.read(GROUPS)))
    return int(groups["several_patients"].sum()) if "several_patients" in groups else 0


def _read_table(run: Run, path: Path, source: str) -> pd.DataFrame:
    table = read_table(io.StringIO(run.read(path))).rename(columns=_EARLIER_COLUMNS)
    return table.assign(source=table.get("source", source)).replace({"kind": _EARLIER_KINDS})


def _only_source(run: Run) -> str:
    """Return the source that the params of an earlier commit name; empty where they name none, or there are none."""
    try:
        return yaml.safe_load(run.read(PARAMS))["data"].get("source", "")
    except (UserError, KeyError, TypeError):
        return ""
