"""Which images train, validate and test when a fold is run."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from breast_ultrasound.pipeline.params import Section

GROUPS = Path("data/groups.csv")
FOLDS = Path("data/folds.csv")

# The fold of an image that the audit dropped.
UNUSED = -1


class Run(Section, extra="ignore"):
    """Which folds are run, of the section `split`."""

    run: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]


def remove_other_folds(folder: Path, run: Sequence[int]) -> None:
    """Remove from a folder that holds `fold-0`, `fold-1`, …, files or folders, those that are not run, left by an
    earlier run.

    DVC takes such a folder as it lies; with what another run left in it, the hashes of this one would be wrong.
    """
    for path in folder.glob("fold-*"):
        if path.stem not in {f"fold-{fold}" for fold in run}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_fold(description: str) -> int:
    """The fold that the command line names: `--fold 0`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", type=int, required=True, help="the fold that is left for the test")
    return parser.parse_args().fold


def subsets(folds: pd.Series, fold: int) -> NDArray[np.str_]:
    """The subset of each image: `test` in fold `fold`, `validation` in the next (cyclically), `unused` or `train`."""
    following = (fold + 1) % (folds.max() + 1)
    roles = [folds == fold, folds == following, folds == UNUSED]
    return np.select(roles, ["test", "validation", "unused"], "train")
