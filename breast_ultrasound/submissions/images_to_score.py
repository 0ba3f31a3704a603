"""The images that systems are scored on: the test images that are checked out, or those of a case table."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.auditing.search import Thresholds, find_relations
from breast_ultrasound.auditing.table import tabulate
from breast_ultrasound.cases.folds import FOLDS, GROUPS, UNUSED, read_folds
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_table


@dataclass(frozen=True)
class ImagesToScore:
    """The images that are scored.

    `table` has a row for each, in the order of `cases`: id, fold, source, group and marks, as data/groups.csv and
    data/folds.csv have them. `others` are further images of the data, which are not scored. `folds` is a digest of the
    folds of each source (`digest_folds`), by its name; it is empty for images that are in no fold.
    """

    cases: list[Case]
    table: pd.DataFrame
    others: list[Case]
    folds: dict[str, str]


def read_tested(cases: Sequence[Case], run: Sequence[int]) -> ImagesToScore:
    """Return the test images of some folds of the cases that are checked out; UserError where no image is in one.

    Images that the audit dropped, and those that other folds test, are `others`.
    """
    folds, audit, case_of = read_folds(), read_table(GROUPS), {case.id: case for case in cases}
    absent = sorted(set(run) - set(folds["fold"]))
    if absent:
        raise UserError(f"{FOLDS}: no image is tested in fold {', '.join(map(str, absent))}. Name others with --folds.")
    tested = folds.loc[folds["fold"].isin(run), ["id", "fold"]].sort_values("fold", kind="stable")
    table = tested.merge(audit[["id", "source", "group", "marks"]], on="id", validate="one_to_one")
    others = case_of.keys() - set(table["id"])
    digests = {str(source): digest_folds(rows) for source, rows in folds.groupby("source")}
    return ImagesToScore(
        [case_of[case_id] for case_id in table["id"]], table, [case_of[case_id] for case_id in sorted(others)], digests
    )


def audit_cases(cases: Sequence[Case], thresholds: Thresholds, seed: int) -> ImagesToScore:
    """Group the images of a case table by near-duplicates, sweeps and patients, and look for marks, as the audit does.

    All of them are tested. `fold` is UNUSED.
    """
    audit = tabulate(find_relations(cases, thresholds, imagenet_encoder, seed, Path.cwd()))
    table = audit[["id", "source", "group"]].assign(marks=audit["marks"].astype(int))
    table.insert(1, "fold", UNUSED)
    return ImagesToScore(list(cases), table, [], {})


def digest_folds(folds: pd.DataFrame) -> str:
    """Return a digest of which fold tests each image, of rows of folds.csv; unused images and order do not count.

    >>> digest_folds(pd.DataFrame({"id": ["b", "a", "c"], "fold": [1, 0, UNUSED]}))
    'fe1c66410cb1'
    """
    used = folds[folds["fold"] != UNUSED].sort_values("id")
    lines = "".join(f"{case_id},{fold}\n" for case_id, fold in zip(used["id"], used["fold"], strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
