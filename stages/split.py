"""Divide the images into folds: by group within each source, by source, or as case tables have it.

Writes data/folds.csv: id, class, source, group; `fold`, the fold that tests the image; and `validation`, the fold whose
network it validates, if any. Both are -1 where the audit dropped the image. metrics/crossings.json names the images of
one frame, sweep or patient that lie in several folds: there are none where groups are divided.
"""

import warnings
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.model_selection import StratifiedGroupKFold

from breast_ultrasound.auditing.crossings import Crossings, find_crossings
from breast_ultrasound.cases.folds import CROSSINGS, FOLDS, GROUPS, MOST_FOLDS, UNUSED, Fold
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write, write_json
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table

# Where a fold is not made for it, a network is validated on this part of the images of the other folds, or a smaller.
_PARTS = 5


class Split(Section):
    """How folds are made, whether images validate, how many folds there are, and which of them are run."""

    by: Literal["group", "source", "table"]
    validation: bool
    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)]
    run: Annotated[tuple[Fold, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> "Split":
        every = set(range(self.folds))
        if len(set(self.run)) < len(self.run) or not set(self.run) <= every:
            raise ValueError(f"run: {list(self.run)} must name different folds, each from 0 to {self.folds - 1}")
        if not self.validation and len(self.run) < 2:
            raise ValueError(
                "validation: false needs two folds at least, since the post-processing of one is fitted on the others; "
                f"run is {list(self.run)}"
            )
        if self.validation and self.by == "group" and self.folds < 3:
            raise ValueError(
                f"folds: of {self.folds} one tests, one validates and none trains; set at least 3, or validation: false"
            )
        return self


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    seed: Seed
    split: Split


def assign_folds(table: pd.DataFrame, split: Split, seed: int) -> pd.Series:
    """Return the fold of each image, 0 to split.folds - 1; `table` has rows of groups.csv.

    Sources and the folds of tables are numbered in their order. UserError where there is no image, where there are more
    or fewer than split.folds, where an image has no fold in its table, and as `divide` has it.
    """
    if table.empty:
        raise UserError(
            f"the audit dropped every image; the column dropped of {GROUPS} says why. File each frame under one class, "
            "or set audit.conflicts to keep."
        )
    if split.by == "group":
        return divide_sources(table, split.folds, seed)
    names, numbers = np.unique(table["source"] if split.by == "source" else named_folds(table), return_inverse=True)
    if len(names) != split.folds:
        raise UserError(
            f"split.folds is {split.folds}, but by {split.by} there are {len(names)} folds: "
            f"{', '.join(map(str, names))}. Set split.folds to {len(names)}."
        )
    return pd.Series(numbers, table.index)


def named_folds(table: pd.DataFrame) -> pd.Series:
    """Return the fold that the case table of each image names; UserError where one names none."""
    missing = table.loc[table["fold"].isna(), "id"]
    if len(missing):
        raise UserError(
            f"split.by is table, but {len(missing)} images have no fold, such as {missing.iloc[0]}. Fill the column "
            "fold of their case table, or split by group."
        )
    return table["fold"].astype(int)


def assign_validation(table: pd.DataFrame, split: Split, seed: int) -> pd.Series:
    """Return the fold whose network each image validates, or UNUSED; `table` has rows of groups.csv with their fold.

    By group it is the fold before the image's own. A source, or a fold of a table, is not taken from the training as a
    whole: the groups are divided into parts, and part k validates the network that tests fold k, but for its images in
    fold k. So an image validates one network at most, in whose training no image of its group takes part.
    """
    if not split.validation:
        return pd.Series(UNUSED, table.index)
    if split.by == "group":
        return (table["fold"] - 1) % split.folds
    part = divide_sources(table, max(_PARTS, split.folds), seed)
    return part.where((part < split.folds) & (part != table["fold"]), UNUSED)


def divide_sources(table: pd.DataFrame, folds: int, seed: int) -> pd.Series:
    """Return the fold of each image, each source divided by itself.

    So every fold has its share of every class of every source, and a source keeps its folds whatever it is joined with.
    A group of several sources lies where the first of them has it.
    """
    assigned = pd.Series(UNUSED, index=table.index)
    for source in table["source"].unique():
        members = table[(table["source"] == source) & (assigned == UNUSED)]
        fold_of = pd.Series(divide(members["class"], members["group"], folds, seed), members["group"])
        assigned = table["group"].map(fold_of[~fold_of.index.duplicated()]).fillna(assigned).astype(int)
    return assigned


def divide(classes: pd.Series, groups: pd.Series, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each image, 0 to folds - 1, so that no group is in two folds and class shares are similar.

    Raises UserError where there are fewer groups than folds, or where no class has as many images as there are folds.
    """
    if groups.nunique() < folds:
        raise UserError(
            f"{folds} folds were to be made (split.folds), but the images form {groups.nunique()} groups of patients "
            "and sweeps, and a group is never cut. Lower split.folds or add images."
        )
    if classes.value_counts().max() < folds:
        raise UserError(
            f"{folds} folds were to be made (split.folds), but no class has as many images. Lower split.folds or add "
            "images."
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.full(len(classes), -1)
    with warnings.catch_warnings():
        # A class with fewer images than folds is spread as far as it goes; the shares are printed below.
        warnings.filterwarnings("ignore", "The least populated class")
        for fold, (_, members) in enumerate(splitter.split(classes, classes, groups)):
            assigned[members] = fold
    return assigned


def check_folds(table: pd.DataFrame, split: Split, crossings: Crossings) -> None:
    """Raise UserError where a fold is empty, RuntimeError where groups were divided and one is in two folds."""
    if set(table["fold"]) != set(range(split.folds)):
        raise UserError(f"split.folds is {split.folds}, but some folds are empty. Lower split.folds or add images.")
    if split.by == "group" and any(crossings.values()):
        raise RuntimeError(f"in more than one fold: {crossings}")


def warnings_of(crossings: Crossings) -> Iterator[str]:
    """Yield a line for each kind of images that belong together and lie in several folds."""
    for name, joined in crossings.items():
        if joined:
            first = "; ".join(", ".join(ids) for ids in joined[:5])
            yield f"warning: {name} in several folds: {len(joined)} ({first}{'; …' if len(joined) > 5 else ''})"
    if any(crossings.values()):
        yield f"Networks are trained on what belongs to their test images. {CROSSINGS} names all."


@command
def main() -> None:
    """Split the images of data/groups.csv."""
    params = load(Params)
    table = read_table(GROUPS)
    used = table[table["dropped"] == "no"]
    used = used.assign(fold=assign_folds(used, params.split, params.seed))
    used = used.assign(validation=assign_validation(used, params.split, params.seed))
    crossings = find_crossings(used)
    check_folds(used, params.split, crossings)
    print(pd.crosstab(used["fold"], [used["source"], used["class"]], margins=True))
    for line in warnings_of(crossings):
        print(line)
    folds = used[["fold", "validation"]].reindex(table.index, fill_value=UNUSED)
    with atomic_write(FOLDS) as aside:
        table[["id", "class", "source", "group"]].join(folds).to_csv(aside, index=False)
    write_json(CROSSINGS, crossings)


if __name__ == "__main__":
    main()
