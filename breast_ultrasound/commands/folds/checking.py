"""What a split parts of what belongs together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.auditing.crossings import Crossings, find_crossings
from breast_ultrasound.commands.folds.audit import Audit
from breast_ultrasound.commands.folds.given import Member
from breast_ultrasound.commands.folds.matching import match_names, match_pixels
from breast_ultrasound.commands.folds.table import digest_images
from breast_ultrasound.pipeline.errors import UserError


@dataclass(frozen=True)
class Check:
    """What a split parts, the parts in which each image lies, the files that it holds, and what was not matched.

    `places` are by id in words, such as `train`, or `val of split 2`. `files` are by id where the split is of folders;
    `by_pixels` counts those that were matched by their pixels. `unmatched` names images that the audit does not hold.
    """

    crossings: Crossings
    places: dict[str, str]
    files: dict[str, Path]
    unmatched: list[str]
    by_pixels: int

    def parted(self) -> list[str]:
        """Return the ids of the images of all that is parted."""
        return list(dict.fromkeys(case_id for parted in self.crossings.values() for ids in parted for case_id in ids))

    @property
    def passed(self) -> bool:
        """Return whether all images were matched and nothing is parted."""
        return not self.unmatched and not self.parted()


def match(members: Sequence[Member], audit: Audit) -> tuple[list[str | None], int]:
    """Return the id of each image, by its pixels where it is a file, else by its name; and how many by their pixels."""
    by_name = match_names([member.name for member in members], audit.table)
    files = [member.file for member in members if member.file]
    digests = audit.digests() if files else {}
    if not digests:
        return by_name, 0
    by_pixels = match_pixels(digest_images(files), digests)
    ids = [pixels or name for pixels, name in zip(by_pixels, by_name, strict=True)]
    return ids, sum(each is not None for each in by_pixels)


def check_split(members: Sequence[Member], audit: Audit) -> Check:
    """Check a split by an audit; UserError where it holds none of the images."""
    ids, by_pixels = match(members, audit)
    rows = pd.DataFrame(members).assign(id=pd.Series(ids, dtype=object))
    matched = rows[rows["id"].notna()]
    if matched.empty:
        raise UserError(
            f"{audit.path}: holds none of the images, such as {members[0].name}. It is an audit of {audit.sources()}. "
            "Check out the data that the split is of, or name its table of folds with --audit."
        )
    return Check(
        crossings=find_in_all(matched, audit.table),
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
    """Return the parts in which an image lies; where it is held out of several splits, those in which it is.

    >>> rows = pd.DataFrame({"part": ["val", "train"], "split": ["split 0", "split 1"]})
    >>> describe_places(rows)
    'val of split 0'
    """
    of_split = {str(split): " and ".join(parts.unique()) for split, parts in rows.groupby("split")["part"]}
    held_out = {split: parts for split, parts in of_split.items() if parts != "train"}
    return ", ".join(f"{parts} of {split}" if split else parts for split, parts in (held_out or of_split).items())


def lines(check: Check) -> Iterator[str]:
    """Yield what the command prints: counts, and a line for each frame, sweep or patient that is parted."""
    for name, parted in check.crossings.items():
        yield f"{name} in several parts: {len(parted)}"
        for ids in parted:
            yield "  " + "; ".join(f"{case_id} ({check.places[case_id]})" for case_id in dict.fromkeys(ids))
    if check.unmatched:
        yield f"not checked, since the audit does not hold them: {len(check.unmatched)}"
        yield from (f"  {name}" for name in check.unmatched)
