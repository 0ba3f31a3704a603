"""Two runs on the same images: which figures differ by more than noise, and which images changed most."""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES, UNSPECIFIED
from breast_ultrasound.cases.groups import join_groups
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scoring.classification import CLASS_PROBABILITIES, malignancy
from breast_ultrasound.scoring.intervals import auc
from breast_ultrasound.scoring.lesions import has_lesion, is_empty
from breast_ultrasound.scoring.paired import Difference, PairedTest
from breast_ultrasound.scoring.scores import add_scores

SUBSETS = ("validation", "test")


@dataclass(frozen=True)
class Change:
    """A figure of `images` images in two runs, and its difference."""

    name: str
    images: int
    first: float
    second: float
    difference: Difference


def pair(first: pd.DataFrame, second: pd.DataFrame, subset: str) -> pd.DataFrame:
    """Join the post-processed scores of both runs, one row an image, as columns that end in `_first` and `_second`.

    Among them are `lesion`, the same in both, and `empty`. Raises UserError where the images, their grids or their true
    masks differ.
    """
    runs = [
        add_scores(scores[(scores["subset"] == subset) & (scores["postprocessing"] == "after")]).assign(
            lesion=has_lesion, empty=is_empty
        )
        for scores in (first, second)
    ]
    only = [sorted(set(one["id"]) - set(other["id"])) for one, other in (runs, runs[::-1])]
    if only[0] or only[1]:
        counts = ", ".join(f"{len(ids)} ({ids[0]}, …)" if ids else "0" for ids in only)
        raise UserError(f"their {subset} images differ: {counts} are in one of the two alone.")
    both = runs[0].merge(runs[1], on=["id", "class"], suffixes=("_first", "_second"), validate="one_to_one")
    for what, columns in (("grids", ["tp", "fp", "fn", "tn"]), ("true masks", ["tp", "fn"])):
        sizes = [both[[f"{column}_{run}" for column in columns]].sum(axis=1) for run in ("first", "second")]
        differ = sizes[0] != sizes[1]
        if differ.any():
            raise UserError(
                f"the {what} of {differ.sum()} {subset} images differ, such as of {both['id'][differ].iloc[0]}."
            )
    return both


def unshared(first: pd.DataFrame, second: pd.DataFrame, column: str) -> list[Any]:
    """Return the sources, or the folds, that one of two tables of scores lacks; none where they share none.

    Sources are those of `column` "source", of which earlier runs record none, and folds those of "fold".

    >>> one, two = (pd.DataFrame({"source": names}) for names in (["busi", "own"], ["busi"]))
    >>> unshared(one, two, "source")
    ['own']
    """
    values, others = set(first[column]), set(second[column])
    return sorted(values ^ others) if values & others else []


def without(scores: pd.DataFrame, left_out: Mapping[str, Collection[Any]]) -> pd.DataFrame:
    """Return the rows of a table of scores that have none of these values in these columns, as far as it has them."""
    for column in left_out.keys() & set(scores.columns):
        scores = scores[~scores[column].isin(left_out[column])]
    return scores


def divide_by_source(both: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide a table of `pair` by source, where both runs name the same source of each image, and several in all."""
    sources = both["source_first"]
    if sources.nunique() < 2 or (sources != both["source_second"]).any():
        return {}
    return {str(source): rows for source, rows in both.groupby(sources)}


def changes(both: pd.DataFrame, test: PairedTest) -> list[Change]:
    """Compare the figures of both runs, of a table of `pair`, each on the images that it is defined on.

    Those that need probabilities are left out where one of the two is of masks alone.
    """
    # The audits of the runs may differ: images that either of them groups count as one group.
    groups = join_groups(*(both[f"group_{run}"].to_numpy() for run in ("first", "second")))
    lesion = both["lesion_first"].to_numpy()
    figures = []
    for name, column, rows in (
        ("lesion Dice", "dice", lesion),
        ("lesion IoU", "iou", lesion),
        ("normal specificity", "empty", ~lesion),
        ("Dice, all images", "dice", lesion | True),
    ):
        if rows.any():
            one, two = (both.loc[rows, f"{column}_{run}"].to_numpy(float) for run in ("first", "second"))
            difference = test.mean(two - one, groups[rows])
            figures.append(Change(name, int(rows.sum()), float(one.mean()), float(two.mean()), difference))
    if lesion.any() and not lesion.all() and both[["peak_first", "peak_second"]].notna().all(axis=None):
        one, two = (both[f"peak_{run}"].to_numpy(float) for run in ("first", "second"))
        difference = test.auc(one, two, lesion, groups)
        figures.append(Change("AUC", len(both), auc(one, lesion), auc(two, lesion), difference))
    return figures + _class_changes(both, groups, test)


def _class_changes(both: pd.DataFrame, groups: NDArray[np.int64], test: PairedTest) -> list[Change]:
    """Compare the accuracy of the class, and the area under the ROC curve of malignant against benign.

    There is neither unless both runs predict classes.
    """
    runs = [[f"{name}_{run}" for name in CLASS_PROBABILITIES] for run in ("first", "second")]
    if not set(itertools.chain(*runs)) <= set(both.columns):
        return []
    specified = (both["class"] != UNSPECIFIED).to_numpy()
    both, groups = both[specified], groups[specified]
    true, probabilities = both["class"].to_numpy(), [both[columns].to_numpy(float) for columns in runs]
    one, two = ((np.array(CLASSES)[classes.argmax(axis=1)] == true).astype(float) for classes in probabilities)
    figures = [Change("class right", len(both), float(one.mean()), float(two.mean()), test.mean(two - one, groups))]
    rows, malignant = true != "normal", true == "malignant"
    if malignant.any() and not malignant[rows].all():
        one, two, malignant = *(malignancy(classes)[rows] for classes in probabilities), malignant[rows]
        difference = test.auc(one, two, malignant, groups[rows])
        figures.append(Change("malignant AUC", len(one), auc(one, malignant), auc(two, malignant), difference))
    return figures


def most_changed(both: pd.DataFrame, images: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images that gained most Dice and those that lost most, at most `images` of each, most first."""
    ranked = both.assign(gain=both["dice_second"] - both["dice_first"]).sort_values(["gain", "id"])
    return ranked[ranked["gain"] > 0][::-1][:images], ranked[ranked["gain"] < 0][:images]
