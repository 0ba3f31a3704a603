"""Read the rows of a case table (sources/case_table.py), and check their text."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from breast_ultrasound.cases.classes import LABELS
from breast_ultrasound.cases.ids import is_safe
from breast_ultrasound.cases.names import find_files, normalise
from breast_ultrasound.cases.raw import SEPARATOR, Case, image_file, mask_file
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import is_formula, read_text_table

# A line of the table, and what is wrong there.
Problem: TypeAlias = tuple[int, str]

REQUIRED = ("image", "masks", "class")
OPTIONAL = ("id", "source", "patient", "device", "birads", "mm_per_pixel", "fold")

_FOLD = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Row:
    """A row of a table, as it stands there.

    `root` is the folder of the table, `line` counts from 1, and `excess` is how many cells it has more than the first
    line.
    """

    root: Path
    line: int
    image: PurePosixPath
    masks: tuple[PurePosixPath, ...]
    cls: str
    id: str
    source: str
    patient: str
    device: str
    birads: str
    mm_per_pixel: str
    fold: str
    excess: int

    def case(self, folder: Path, masks: int, mm_per_pixel: float | None) -> Case:
        """Return the case of the row below `folder`, with so many masks; `mm_per_pixel` is what the image records."""
        return Case(
            id=self.id,
            cls=self.cls,
            image=image_file(folder, self.cls, self.id),
            masks=tuple(mask_file(folder, self.cls, self.id, number) for number in range(masks)),
            patient=self.patient,
            mm_per_pixel=float(self.mm_per_pixel) if self.mm_per_pixel else mm_per_pixel,
            source=self.source,
            device=self.device,
            birads=self.birads,
            fold=int(self.fold) if self.fold else None,
        )


def read_rows(table: Path) -> list[Row]:
    """Read the rows of a table; UserError where it is no table, lacks a column or is empty."""
    columns, cells = read_text_table(table)
    text = itertools.chain(columns, *(of_line.values() for _, of_line in cells))
    if any("\0" in cell for cell in text if isinstance(cell, str)):
        raise UserError(f"{table.name}: holds a NUL character. Save it as text.")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(
            f"{table.name}: lacks the columns {', '.join(missing)}; its first line is {','.join(columns)!r}."
        )
    repeated = [name for name in REQUIRED + OPTIONAL if columns.count(name) > 1]
    if repeated:
        raise UserError(f"{table.name}: has the column {', '.join(repeated)} twice. Remove one.")
    if not cells:
        raise UserError(f"{table.name}: is empty. Add a line for each image.")
    rows = _with_files([_row(table.parent, line, of_line) for line, of_line in cells], table.parent)
    unused = [name for name in columns if name not in REQUIRED + OPTIONAL]
    if unused:
        print(f"{table.name}: columns that are not used: {', '.join(unused)}")
    return rows


def _row(root: Path, line: int, cells: dict[Any, Any]) -> Row:
    text = {name: (cells.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
    image, *masks = (
        PurePosixPath(path.strip().replace("\\", "/")) for path in (text["image"], *text["masks"].split(SEPARATOR))
    )
    return Row(
        root=root,
        line=line,
        image=image,
        masks=tuple(mask for mask in masks if mask.name),
        cls=text["class"],
        id=text["id"] or normalise(image).stem,
        source=text["source"],
        patient=text["patient"],
        device=text["device"],
        birads=text["birads"],
        mm_per_pixel=text["mm_per_pixel"],
        fold=text["fold"],
        # The reader puts cells beyond the columns under None, and None for cells that are missing.
        excess=len(cells.get(None, ())) - list(cells.values()).count(None),
    )


def _with_files(rows: Sequence[Row], root: Path) -> list[Row]:
    """Return the rows with the paths of the files that they mean."""
    files = find_files(root, itertools.chain.from_iterable((row.image, *row.masks) for row in rows))
    return [replace(row, image=files[row.image], masks=tuple(files[mask] for mask in row.masks)) for row in rows]


def duplicates(rows: Iterable[Row]) -> Iterator[Problem]:
    """Yield the ids and images that an earlier row has; on some systems ids that differ in case alone are one file."""
    line_of: dict[str | Path, int] = {}
    for row in rows:
        for what, name, key in (
            ("id", row.id, row.id.casefold()),
            # Not what a link leads to: in a store of contents, equal images are one file.
            ("image", row.image, (row.root / row.image).parent.resolve() / row.image.name),
        ):
            if key in line_of:
                yield row.line, f"the {what} {name} is already in line {line_of[key]}."
            line_of.setdefault(key, row.line)


def faults(row: Row) -> Iterator[str]:
    """Yield what is wrong with the text of a row."""
    if row.excess:
        yield f"has {'more' if row.excess > 0 else 'fewer'} cells than the first line."
    if not row.image.name:
        yield "names no image."
    if (row.root / row.image).resolve() in [(row.root / mask).resolve() for mask in row.masks]:
        yield "names its image as its mask."
    for column in ("source", "patient", "device", "birads"):
        if is_formula(text := getattr(row, column)):
            yield f"{column} {text!r} is what a spreadsheet would compute. Write it with a letter or digit first."
    if row.cls not in LABELS:
        yield f"class {row.cls!r} is none of {', '.join(LABELS)}."
    elif row.cls != "normal" and not row.masks:
        yield f"is filed as {row.cls}, but names no mask."
    if not is_safe(row.id):
        yield (
            f"the id {row.id!r} can't be a file's name: letters, digits, spaces and _ . ( ) + - do, 100 at most, "
            "without `_mask`, with a letter or digit first and no space or dot last. Give another in the column id."
        )
    if row.mm_per_pixel and not _is_length(row.mm_per_pixel):
        yield f"mm_per_pixel {row.mm_per_pixel!r} is no number above 0; leave it empty where it is not recorded."
    if row.fold and not _FOLD.fullmatch(row.fold):
        yield f"fold {row.fold!r} is no whole number from 0 on; leave it empty where the image is in none."


def _is_length(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
