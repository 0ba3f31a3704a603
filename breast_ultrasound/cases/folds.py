"""Read which folds are run, and which images train, validate and test in each run."""

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
from breast_ultrasound.pipeline.tables import read_table

GROUPS = Path("data/groups.csv")
FOLDS = Path("data/folds.csv")

# The fold of an image that the audit dropped.
UNUSED = -1


class Run(Section, extra="ignore"):
    """The folds that are run, of the section `split`."""

    run: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]


def remove_other_folds(folder: Path, run: Sequence[int]) -> None:
    """Remove from `folder` what an earlier run left: each `fold-<k>`, a file or a folder, whose fold k is not in `run`.

    DVC hashes the folder as it is, so what another run left there would change the hash of this one.
    """
    for path in folder.glob("fold-*"):
        if path.stem not in {f"fold-{fold}" for fold in run}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_fold(description: str) -> int:
    """Read the command line of a stage that runs one fold, `--fold 0`; `description` is for `--help`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", type=int, required=True, help="the fold that is left for the test")
    return parser.parse_args().fold


def read_folds(path: Path = FOLDS) -> pd.DataFrame:
    """Read the folds of a run, as the stage `split` wrote them: a row an image with its id, class, group and fold."""
    return read_table(path)


def subsets(folds: pd.Series, fold: int) -> NDArray[np.str_]:
    """Return the subset of each image when `fold` is run, given the fold of each image.

    That fold is for the test, the next one (cyclically) for validation, the others train; UNUSED images are `unused`.

    >>> subsets(pd.Series([0, 1, 2, 3, UNUSED]), fold=3).tolist()
    ['validation', 'train', 'train', 'test', 'unused']
    """
    following = (fold + 1) % (folds.max() + 1)
    choices = [folds == fold, folds == following, folds == UNUSED]
    return np.select(choices, ["test", "validation", "unused"], "train")
