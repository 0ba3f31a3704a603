"""Tables with a row an image."""

import re
from pathlib import Path
from typing import TextIO

import pandas as pd

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
