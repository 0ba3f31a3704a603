"""The history of a training: its curves, and the record of what ran where.

DVC keeps it with the weights, so that a fold can be trained on one machine and evaluated on another. The stage
`evaluate` puts it into Git, where runs are compared.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from breast_ultrasound.pipeline.files import atomic_write

HISTORIES = Path("data/histories")
IN_GIT = Path("metrics/train")
RECORD = "record.json"


def history(fold: int) -> Path:
    """Return the folder into which a fold's training writes its curves and record."""
    return HISTORIES / f"fold-{fold}"


def put_into_git(run: Sequence[int]) -> None:
    """Copy the curves and records of the folds that are run, and no others, to metrics/train."""
    with atomic_write(IN_GIT) as folder:
        for fold in run:
            shutil.copytree(history(fold), folder / history(fold).name)


def read_record(fold: int) -> dict[str, Any]:
    """Read device, versions, images and number of weights of a fold's training."""
    return json.loads((_in_git(fold) / RECORD).read_text(encoding="utf-8"))


def read_curves(fold: int, name: str) -> pd.DataFrame:
    """Read a figure, such as `lesion_dice`, by epoch: the columns `train` and, where images validated, `validation`."""
    files = {
        subset: _in_git(fold) / "plots" / "metrics" / f"{figure}.tsv"
        for subset, figure in (("train", name), ("validation", f"val_{name}"))
    }
    return pd.DataFrame(
        {subset: pd.read_csv(file, sep="\t")[file.stem] for subset, file in files.items() if file.exists()}
    )


def _in_git(fold: int) -> Path:
    return IN_GIT / history(fold).name
