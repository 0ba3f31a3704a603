"""The table of folds: of which group and fold each image is and why, with a hash of its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import pandas as pd

from breast_ultrasound.auditing.crossings import reasons
from breast_ultrasound.cases.folds import FOLDS, GROUPS, UNUSED, read_folds
from breast_ultrasound.cases.images import pixel_digest
from breast_ultrasound.cases.pictures import decode
from breast_ultrasound.cases.raw import RAW, TABLE, Case, Source, read_cases, read_sources
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_table

# Of groups.csv, in the table of folds.
_OF_GROUPS = ["id", "class", "source", "patient", "frame", "sweep", "group"]


@dataclass(frozen=True)
class Folds:
    """The table of folds, a row an image; the cases of its rows; and the sources of all."""

    table: pd.DataFrame
    cases: list[Case]
    sources: list[Source]

    def used(self) -> list[tuple[Case, int]]:
        """Return each case that a fold uses, with its fold."""
        folds = self.table["fold"].tolist()
        return [(case, fold) for case, fold in zip(self.cases, folds, strict=True) if fold != UNUSED]


def read_data() -> Folds:
    """Read the folds and the data that are checked out; UserError where some is missing or they don't fit together."""
    missing = [str(path) for path in (GROUPS, FOLDS, RAW / TABLE) if not path.exists()]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: not found. Make it with `uv run dvc repro split`, in the root of the repository."
        )
    groups, folds, cases = read_table(GROUPS), read_folds(), read_cases(RAW)
    ids = [case.id for case in cases]
    if not ids == groups["id"].tolist() == folds["id"].tolist():
        raise UserError(f"{GROUPS}, {FOLDS} and {RAW} hold different images. Mend this with `uv run dvc repro split`.")
    digests = digest_images([case.image for case in cases])
    return Folds(tabulate(groups, folds["fold"], digests), cases, read_sources(RAW))


def tabulate(groups: pd.DataFrame, folds: pd.Series, digests: Sequence[str]) -> pd.DataFrame:
    """Return the table of folds, a row an image.

    `groups` is groups.csv; `folds` and `digests` have the fold of each image, or UNUSED, and the hash of its pixels.
    """
    return groups[_OF_GROUPS].assign(
        joined_by=reasons(groups), fold=folds, dropped=groups["dropped"], sha256=list(digests)
    )


def digest_images(images: Sequence[Path]) -> list[str]:
    """Return the hash of the pixels of each image, decoded in colour, as in the manifests of releases."""
    return list(map_on_all_cores(_digest, images, "hash"))


def _digest(path: Path) -> str:
    return pixel_digest(decode(path, cv2.IMREAD_COLOR))
