"""Tables with a row an image."""

import csv
import re
from pathlib import Path
from typing import NamedTuple, TextIO

import pandas as pd

from breast_ultrasound.pipeline.errors import UserError

# The columns that name an image, a person, a data set or a device. 007, 1e5 and NA are names, and stay as written.
_NAMES = ("id", "nearest", "neighbour", "patient", "source", "device", "birads", "subset")


# A minus sign alone, and numbers, are shown as they are.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.,]*\Z)")


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet may run the text of a cell rather than show it.

    >>> [is_formula(cell) for cell in ("=1+1", "@SUM(A1)", "-1+1", "-1", "-", "P=1")]
    [True, True, True, False, False, False]
    """
    return bool(_FORMULA.match(cell))


def read_table(source: Path | TextIO) -> pd.DataFrame:
    """Read a CSV file of the pipeline; ids and other names are text, which may be empty."""
    table = pd.read_csv(source, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in _NAMES if name in table})


class TextTable(NamedTuple):
    """A CSV file as it stands there: the names of its columns, and of each row its line and its cells by column.

    Lines count from 1. Cells beyond the columns are a list under None, and cells that a row lacks are None.
    """

    columns: list[str]
    rows: list[tuple[int, dict[str | None, str | list[str] | None]]]


def read_text_table(path: Path) -> TextTable:
    """Read a CSV file that a person made; UserError where it is no table of comma-separated values in UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            return TextTable(columns, [(reader.line_num, cells) for cells in reader])
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file. Correct the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table of comma-separated values in UTF-8 ({error}). Save it as one.") from error
