"""Class probabilities of a system: a table of comma-separated values with a row an image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_text_table

# Three numbers of two decimals may be so far from 1 in sum.
_ROUNDING = 0.015 + 1e-9


class ClassRow(NamedTuple):
    """The row of an image: its name, as the table has it, and its cells, as a TextTable has them."""

    name: str
    cells: Mapping[str | None, str | list[str] | None]


def read_class_rows(table: Path) -> list[ClassRow]:
    """Read the rows of a table with the columns id and CLASSES, unchecked; other columns are left out of account.

    UserError where it is no table, lacks a column, or names no image in a row or at all.
    """
    columns, lines = read_text_table(table)
    expected = ("id", *CLASSES)
    if any(columns.count(name) != 1 for name in expected):
        raise UserError(f"{table}: needs the columns {', '.join(expected)} once each; has {', '.join(columns)}.")
    rows = [ClassRow(str(cells["id"] or "").strip(), cells) for _, cells in lines]
    if not rows or not all(row.name for row in rows):
        raise UserError(f"{table}: {'a row has no id' if rows else 'is empty'}. Give each image a row with its id.")
    return rows


def parse_class_row(table: Path, row: ClassRow) -> NDArray[np.float64]:
    """Return the probabilities of CLASSES [3] of an image.

    UserError where one is no number from 0 to 1, such as NaN, where they do not sum to 1 within the rounding to two
    decimals, and where the row has other cells than the first line.
    """
    if None in row.cells or None in row.cells.values():
        raise UserError(f"{table}: {row.name} has more or fewer cells than the first line.")
    text = [str(row.cells[name]).strip() for name in CLASSES]
    try:
        values = np.array(text, np.float64)
    except ValueError:
        values = np.full(len(CLASSES), np.nan)
    if not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"{table}: {row.name} has {', '.join(text)}, where probabilities from 0 to 1 are expected.")
    if not math.isclose(total := float(values.sum()), 1, abs_tol=_ROUNDING):
        raise UserError(f"{table}: the probabilities of {row.name} sum to {total:g}, where 1 is expected.")
    return values
