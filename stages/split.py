"""Divide the images of each source into folds of similar class shares, no group in two of them.

Writes data/folds.csv: id, class, source, group, fold. An image that the audit dropped is not used: its fold is -1.
"""

import warnings
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.model_selection import StratifiedGroupKFold

from breast_ultrasound.cases.folds import FOLDS, GROUPS, UNUSED
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table


class Split(Section):
    """How many folds there are, and which of them are run."""

    folds: Annotated[int, Field(ge=3)]
    run: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _check_run(self) -> "Split":
        if len(set(self.run)) < len(self.run) or not set(self.run) <= set(range(self.folds)):
            raise ValueError(f"run: {list(self.run)} must name different folds, each from 0 to {self.folds - 1}")
        return self


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    seed: Seed
    split: Split


def assign_folds(classes: pd.Series, groups: pd.Series, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each image, 0 to folds - 1, so that no group is in two folds and class shares are similar.

    Raises UserError where there are fewer groups than folds, or where no class has as many images as there are folds.
    """
    if groups.nunique() < folds:
        raise UserError(
            f"split.folds is {folds}, but the images form {groups.nunique()} groups of patients and sweeps, "
            "and a group is never cut. Lower split.folds or add images."
        )
    if classes.value_counts().max() < folds:
        raise UserError(f"split.folds is {folds}, but no class has as many images. Lower split.folds or add images.")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.full(len(classes), -1)
    with warnings.catch_warnings():
        # A class with fewer images than folds is spread as far as it goes; the shares are printed below.
        warnings.filterwarnings("ignore", "The least populated class")
        for fold, (_, members) in enumerate(splitter.split(classes, classes, groups)):
            assigned[members] = fold
    return assigned


def assign_by_source(table: pd.DataFrame, folds: int, seed: int) -> pd.Series:
    """Return the fold of each image, each source divided by itself.

    So every fold has its share of every class of every source, and a source keeps its folds whatever it is joined with.
    A group of several sources lies where the first of them has it.
    """
    assigned = pd.Series(UNUSED, index=table.index)
    for source in table["source"].unique():
        members = table[(table["source"] == source) & (assigned == UNUSED)]
        fold_of = pd.Series(assign_folds(members["class"], members["group"], folds, seed), members["group"])
        assigned = table["group"].map(fold_of[~fold_of.index.duplicated()]).fillna(assigned).astype(int)
    return assigned


def check_folds(table: pd.DataFrame, folds: int) -> None:
    """Raise RuntimeError where a group, a frame or a patient is in two folds, UserError where a fold is empty."""
    named = table.assign(patient=table["patient"].mask(table["patient"] == ""))
    for name in ("group", "frame", "patient"):
        crossing = named.groupby(name)["fold"].nunique()
        if (crossing > 1).any():
            raise RuntimeError(f"{name} in more than one fold: {crossing.index[crossing > 1].tolist()}")
    if set(table["fold"]) != set(range(folds)):
        raise UserError(f"split.folds is {folds}, but some folds are empty. Lower split.folds or add images.")


@command
def main() -> None:
    """Split the groups of data/groups.csv."""
    params = load(Params)
    table = read_table(GROUPS)[["id", "class", "source", "patient", "frame", "group", "dropped"]].assign(fold=UNUSED)
    used = table["dropped"] == "no"
    table.loc[used, "fold"] = assign_by_source(table[used], params.split.folds, params.seed)
    check_folds(table[used], params.split.folds)
    print(pd.crosstab(table["fold"], [table["source"], table["class"]], margins=True))
    with atomic_write(FOLDS) as aside:
        table.drop(columns=["patient", "frame", "dropped"]).to_csv(aside, index=False)


if __name__ == "__main__":
    main()
