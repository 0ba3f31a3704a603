"""Tables with a row an image."""

from pathlib import Path
from typing import TextIO

import pandas as pd

# The columns that name an image, a person, a data set or a device. 007, 1e5 and NA are names, and stay as written.
_NAMES = ("id", "nearest", "neighbour", "patient", "source", "device", "birads", "subset")


def read_table(source: Path | TextIO) -> pd.DataFrame:
    """Read a CSV file of the pipeline; ids and other names are text, which may be empty."""
    table = pd.read_csv(source, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in _NAMES if name in table})
