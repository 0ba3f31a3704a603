"""What a training leaves of itself in Git: its curves, and the record of what ran where."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

HISTORIES = Path("metrics/train")
RECORD = "record.json"


def history(fold: int) -> Path:
    """The folder of a fold's training curves and record."""
    return HISTORIES / f"fold-{fold}"


def read_record(fold: int) -> dict[str, Any]:
    """Device, versions, images and number of weights of a fold's training."""
    return json.loads((history(fold) / RECORD).read_text(encoding="utf-8"))


def read_curve(fold: int, name: str) -> pd.Series:
    """A figure by epoch, such as `val_lesion_dice`."""
    return pd.read_csv(history(fold) / "plots" / "metrics" / f"{name}.tsv", sep="\t")[name]
