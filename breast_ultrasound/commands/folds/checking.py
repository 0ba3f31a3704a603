"""What a split parts of what belongs together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.auditing.crossings import Crossings, find_crossings
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, TABLE, read_cases
from breast_ultrasound.commands.folds.given import Member
from breast_ultrasound.commands.folds.matching import match_names, match_pixels
from breast_ultrasound.commands.folds.table import digest_images
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_table

# Of the table of an audit.
_NEEDED = ("id", "source", "patient", "frame", "sweep")


@dataclass(frozen=True)
class Check:
    """What a split parts, the parts in which each image lies, the files that it holds, and what was not matched.

    `places` are by id in words, such as `train`, or `val of split 2`. `files` are by id where the split is of folders.
    `unmatched` are names of images that the audit does not hold; `by_pixels` counts those that were matched so.
    """

    crossings: Crossings
    places: dict[str, str]
    files: dict[str, Path]
    unmatched: list[str]
    by_pixels: int

    @property
    def passed(self) -> bool:
        """Return whether all images were matched and nothing is parted."""
        return not self.unmatched and not any(self.crossings.values())


def read_audit(path: Path) -> pd.DataFrame:
    """Read groups.csv or a table of folds; UserError where it is neither."""
    if not path.exists():
        raise UserError(f"{path}: not found. Make data/groups.csv with `uv run dvc repro audit`, or name a table.")
    audit = read_table(path)
    missing = [name for name in _NEEDED if name not in audit]
    if missing:
        raise UserError(f"{path}: lacks the columns {', '.join(missing)}. Name groups.csv or a table of folds.")
    return audit


def match(members: Sequence[Member], audit: pd.DataFrame, path: Path) -> tuple[list[str | None], int]:
    """Return the id of each image, by its pixels where it is a file, else by its name; and how many by their pixels.

    `path` is where the audit was read from.
    """
    ids = match_names([member.name for member in members], audit)
    files = [member.file for member in members if member.file]
    hashed = _with_digests(audit, path) if files else None
    if hashed is None:
        return ids, 0
    by_pixels = match_pixels(digest_images(files), hashed)
    both = [by_pixel or by_name for by_pixel, by_name in zip(by_pixels, ids, strict=True)]
    return both, sum(each is not None for each in by_pixels)


def _with_digests(audit: pd.DataFrame, path: Path) -> pd.DataFrame | None:
    """Return the audit with the hash of each image; None where neither it nor the data that is checked out has any."""
    if "sha256" in audit:
        return audit
    if path != GROUPS or not (RAW / TABLE).exists():
        return None
    cases = read_cases(RAW)
    hashed = dict(zip((case.id for case in cases), digest_images([case.image for case in cases]), strict=True))
    return audit.assign(sha256=audit["id"].map(hashed))


def check_split(members: Sequence[Member], audit: pd.DataFrame, path: Path) -> Check:
    """Check a split against an audit that was read from `path`; UserError where it holds none of the images."""
    ids, by_pixels = match(members, audit, path)
    rows = pd.DataFrame(members).assign(id=pd.Series(ids, dtype=object))
    matched = rows[rows["id"].notna()]
    if matched.empty:
        raise UserError(
            f"{path}: holds none of the images, such as {members[0].name}. It is an audit of "
            f"{', '.join(audit['source'].unique())}; check out the data that the split is of, or name its table."
        )
    return Check(
        crossings=find_in_all(matched, audit),
        places={str(case_id): describe_places(each) for case_id, each in matched.groupby("id")},
        files={case_id: member.file for case_id, member in zip(ids, members, strict=True) if case_id and member.file},
        unmatched=sorted(set(rows.loc[rows["id"].isna(), "name"])),
        by_pixels=by_pixels,
    )


def find_in_all(matched: pd.DataFrame, audit: pd.DataFrame) -> Crossings:
    """Return what is parted in any of several splits, each time once; `matched` has the columns id, part and split."""
    table = audit[["id", "frame", "sweep", "patient"]].merge(matched.rename(columns={"part": "fold"}), on="id")
    crossings: dict[str, dict[tuple[str, ...], None]] = {}
    for _, of_split in table.groupby("split"):
        for name, parted in find_crossings(of_split).items():
            crossings.setdefault(name, {}).update(dict.fromkeys(map(tuple, parted)))
    return {name: [list(ids) for ids in parted] for name, parted in crossings.items()}


def describe_places(rows: pd.DataFrame) -> str:
    """Return the parts in which an image lies; of several splits those in which it is held out.

    >>> rows = pd.DataFrame({"part": ["val", "train"], "split": ["split 0", "split 1"]})
    >>> describe_places(rows)
    'val of split 0'
    """
    if rows["split"].nunique() > 1 and (rows["part"] != "train").any():
        rows = rows[rows["part"] != "train"]
    parts = rows["part"].where(rows["split"] == "", rows["part"] + " of " + rows["split"])
    return ", ".join(parts.unique())


def lines(check: Check) -> Iterator[str]:
    """Yield what the command prints: counts, and a line for each frame, sweep or patient that is parted."""
    for name, parted in check.crossings.items():
        yield f"{name} in several parts: {len(parted)}"
        for ids in parted:
            yield "  " + "; ".join(f"{case_id} ({check.places[case_id]})" for case_id in dict.fromkeys(ids))
    if check.unmatched:
        yield f"not checked, since the audit does not hold them: {len(check.unmatched)}"
        yield from (f"  {name}" for name in check.unmatched)
