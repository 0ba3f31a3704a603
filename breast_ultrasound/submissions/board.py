"""The entry of a system on the board, docs/board.md: who made it, and its figures on each source."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from breast_ultrasound.pipeline.errors import UserError

BOARD = Path("docs/board")

_TEXTS = ("system", "author", "training", "masks")


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Checked):
    """A figure and its interval; the ends are None where there are too few groups for one."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.value:.3f}{ends}"

    def percent(self) -> str:
        """Return the figure as text, in percent.

        >>> Figure(value=0.108, low=0.078, high=0.144).percent()
        '10.8% (7.8 to 14.4%)'
        """
        ends = "" if self.low is None or self.high is None else f" ({100 * self.low:.1f} to {100 * self.high:.1f}%)"
        return f"{self.value:.1%}{ends}"


class OnSource(_Checked):
    """The figures of a system on the test images of a source.

    `folds` is the digest of the folds of the source, empty for images in no fold; `tested` are those that were scored.
    A figure is None where it is not defined, such as the specificity where all images have a lesion.
    """

    folds: str
    tested: tuple[int, ...]
    images: int
    lesion_dice: Figure | None
    missed_lesions: Figure | None
    normal_specificity: Figure | None
    dice: Figure | None


class Entry(_Checked):
    """A system, and its figures by source.

    `author` made it; `training` says by what method and on which images it was made; `masks` where they can be had.
    """

    system: str
    author: str
    training: str
    masks: str
    scoring_rules: int
    sources: dict[str, OnSource]


def make_entry(system: str, figures: Mapping[str, Any], scores: pd.DataFrame, folds: Mapping[str, str]) -> Entry:
    """Return the entry of a system, whose author, training and masks are still empty.

    `figures` are those of `summarise_submission`, `scores` their table, and `folds` the digests of the folds by source.
    """
    tested = {source: tuple(sorted(rows.unique().tolist())) for source, rows in scores.groupby("source")["fold"]}
    sources = {
        source: OnSource(
            folds=folds.get(source, ""),
            tested=tested[source],
            images=of_source["after"]["all"]["images"],
            lesion_dice=_figure(of_source, "lesion", "mean per image", "dice"),
            missed_lesions=_figure(of_source, "lesion", "missed lesions"),
            normal_specificity=_figure(of_source, "all", "specificity on normal images"),
            dice=_figure(of_source, "all", "mean per image", "dice"),
        )
        for source, of_source in figures["test by source"].items()
    }
    return Entry(
        system=system, author="", training="", masks="", scoring_rules=figures["scoring rules"], sources=sources
    )


def read_entries(folder: Path) -> list[Entry]:
    """Read the entries of the board, by the names of their files; UserError names every fault of all of them."""
    entries, faults = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            entry = Entry.model_validate_json(path.read_bytes())
        except ValidationError as error:
            faults += [
                f"{path}: {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()
            ]
        else:
            entries.append(entry)
            same = next(each for each in entries if each.system == entry.system)
            faults += [f"{path}: {fault}" for fault in (*_faults(entry), *_contradictions(entry, same))]
    if faults:
        raise UserError("\n".join(faults))
    return entries


def _faults(entry: Entry) -> Iterator[str]:
    """Yield what is wrong with the texts of an entry, which become cells of a table."""
    for name in _TEXTS:
        text = getattr(entry, name)
        if not text.strip():
            yield f"{name} is empty. Say it in a few words."
        if "|" in text or "\n" in text:
            yield f"{name} holds | or a line end, which end a cell of a table. Write it without."


def _contradictions(entry: Entry, same: Entry) -> Iterator[str]:
    """Yield the texts in which an entry differs from another one of the same system."""
    for name in _TEXTS:
        if getattr(entry, name) != getattr(same, name):
            yield f"{name} differs from that of another file of {entry.system}. Give both the same, or another system."


def systems(entries: Sequence[Entry]) -> list[Entry]:
    """Return an entry of each system, by name; its texts are those of all entries of the system."""
    return sorted({entry.system: entry for entry in entries}.values(), key=lambda entry: entry.system.lower())


def tables(entries: Sequence[Entry]) -> dict[tuple[str, str, tuple[int, ...]], list[tuple[Entry, OnSource]]]:
    """Return the systems that can be compared, best lesion Dice first, by source, digest of folds and tested folds.

    The source of most figures comes first, and of the same folds all of them before a part.
    """
    rows = [
        ((source, figures.folds, figures.tested), entry, figures)
        for entry in entries
        for source, figures in entry.sources.items()
    ]
    times = Counter(source for (source, *_), *_ in rows)
    keys = sorted({key for key, *_ in rows}, key=lambda key: (-times[key[0]], key[0], key[1], -len(key[2]), key[2]))
    return {
        key: sorted(
            ((entry, figures) for own, entry, figures in rows if own == key),
            key=lambda row: (-(row[1].lesion_dice.value if row[1].lesion_dice else 0.0), row[0].system),
        )
        for key in keys
    }


def _figure(figures: Mapping[str, Any], stratum: str, *path: str) -> Figure | None:
    value = figures["after"].get(stratum, {})
    for key in path:
        value = value.get(key, {})
    return Figure(value=value["value"], low=value["low"], high=value["high"]) if value else None
