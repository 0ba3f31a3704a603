"""Tables with a row an image."""

from pathlib import Path
from typing import TextIO

import pandas as pd

# What stands for an image or a person stays as it is written: 007, 1e5 and NA are names as good as others.
_NAMES = ("id", "nearest", "patient")


def read_table(source: Path | TextIO) -> pd.DataFrame:
    """Read a CSV file of the pipeline; ids and patients are text, which may be empty."""
    table = pd.read_csv(source, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in _NAMES if name in table})
