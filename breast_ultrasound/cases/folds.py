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
CROSSINGS = Path("metrics/crossings.json")

# In the column `fold` of folds.csv: the audit dropped the image. In `validation`: the image validates no network.
UNUSED = -1

MOST_FOLDS = 100
Fold = Annotated[int, Field(ge=0, lt=MOST_FOLDS)]


class Run(Section, extra="ignore"):
    """The folds that are run, of the section `split`."""

    run: Annotated[tuple[Fold, ...], Field(strict=False, min_length=1)]


class Exported(Section, extra="ignore"):
    """The folds whose networks are exported, of the section `export`; None is the first that is run."""

    folds: Annotated[tuple[Fold, ...], Field(strict=False, min_length=1)] | None

    def among(self, run: Sequence[int]) -> tuple[int, ...]:
        """Return the folds to export, of those that are run; ValueError if one of them is not run.

        >>> Exported(folds=None).among([2, 3]), Exported(folds=(3, 2)).among([2, 3])
        ((2,), (3, 2))
        """
        if missing := sorted(set(self.folds or ()) - set(run)):
            raise ValueError(f"export.folds names {missing}, but split.run is {list(run)}. Name folds that are run.")
        return self.folds or (run[0],)


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
    """Read the folds of a run, as the stage `split` wrote them: a row an image.

    Its columns are id, class, source, group, `fold`, which tests the image, and `validation`, the fold whose network
    the image validates.
    """
    return read_table(path)


def subsets(folds: pd.DataFrame, fold: int) -> NDArray[np.str_]:
    """Return the subset of each image when `fold` is run: `test`, `validation`, `train`, or `unused`.

    >>> folds = pd.DataFrame({"fold": [0, 1, 2, UNUSED], "validation": [2, 0, 1, UNUSED]})
    >>> subsets(folds, fold=2).tolist()
    ['validation', 'train', 'test', 'unused']
    """
    choices = [folds["fold"] == fold, folds["validation"] == fold]
    return np.select([folds["fold"] == UNUSED, *choices], ["unused", "test", "validation"], "train")


def fitting_subset(folds: pd.DataFrame) -> str:
    """Return the subset of each network's images on which post-processing is fitted: `validation`, else `test`.

    On the test images of one fold it is fitted for other folds alone (answers/cross_fitting.py).
    """
    return "validation" if (folds["validation"] != UNUSED).any() else "test"
