"""The audit that a split is checked by: which images belong together, and their pixels where these are at hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, TABLE, read_cases
from breast_ultrasound.commands.folds.table import digest_images
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_table

_NEEDED = ("id", "source", "patient", "frame", "sweep")


@dataclass(frozen=True)
class Audit:
    """A table with a row an image: groups.csv, or a table of folds, which also has hashes of the pixels."""

    path: Path
    table: pd.DataFrame

    def sources(self) -> str:
        """Return the names of its sources."""
        return ", ".join(self.table["source"].unique())

    def digests(self) -> dict[str, str]:
        """Return the hash of each image by id: its own, else of data/raw where that is what was audited, else none."""
        if "sha256" in self.table:
            return dict(zip(self.table["id"], self.table["sha256"], strict=True))
        return _digests(_raw_images()) if self.path == GROUPS else {}

    def pictures(self, ids: Iterable[str]) -> dict[str, Path]:
        """Return the files of some images in data/raw, without those that are none of this audit."""
        raw = _raw_images()
        files = {case_id: raw[case_id] for case_id in ids if case_id in raw}
        if self.path == GROUPS:
            return files
        own, theirs = self.digests(), _digests(files)
        return {case_id: file for case_id, file in files.items() if own.get(case_id) == theirs[case_id]}


def read_audit(path: Path) -> Audit:
    """Read groups.csv or a table of folds; UserError where it is neither."""
    if not path.exists():
        raise UserError(f"{path}: not found. Make {GROUPS} with `uv run dvc repro audit`, or name a table of folds.")
    table = read_table(path)
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise UserError(f"{path}: lacks the columns {', '.join(missing)}. Name {GROUPS} or a table of folds.")
    return Audit(path, table)


def _raw_images() -> dict[str, Path]:
    return {case.id: case.image for case in read_cases(RAW)} if (RAW / TABLE).exists() else {}


def _digests(files: dict[str, Path]) -> dict[str, str]:
    return dict(zip(files, digest_images(list(files.values())), strict=True))
