"""Two runs on the same images: which figures differ by more than noise, and on which images."""

import ast
import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES, UNTOLD
from breast_ultrasound.cases.groups import join
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scoring.classification import CLASS_PROBABILITIES, malignancy
from breast_ultrasound.scoring.intervals import auc
from breast_ultrasound.scoring.lesions import has_lesion, is_clean
from breast_ultrasound.scoring.paired import Difference, PairedTest
from breast_ultrasound.scoring.scores import add_scores

SUBSETS = ("validation", "test")


@dataclass(frozen=True)
class Change:
    """A figure of `images` images in two runs, and by what they differ."""

    name: str
    images: int
    first: float
    second: float
    difference: Difference


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings, since a string that stands alone does nothing, and imports, since modules move."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None


def rules(source: str) -> str:
    """What Python code does, whatever its comments, docstrings, layout and imports."""
    return ast.dump(_Bare().visit(ast.parse(source)))


def pair(first: pd.DataFrame, second: pd.DataFrame, subset: str) -> pd.DataFrame:
    """The post-processed scores of both runs, a row an image, columns of the runs ending in `_first` and `_second`.

    Among them are `lesion`, the same in both, and `clean`.
    UserError where the images, their grids or their true masks differ.
    """
    chosen = [
        add_scores(scores[(scores["subset"] == subset) & (scores["stage"] == "after")]).assign(
            lesion=has_lesion, clean=is_clean
        )
        for scores in (first, second)
    ]
    only = [sorted(set(one["id"]) - set(other["id"])) for one, other in (chosen, chosen[::-1])]
    if only[0] or only[1]:
        told = ", ".join(f"{len(ids)} ({ids[0]}, …)" if ids else "0" for ids in only)
        raise UserError(f"their {subset} images differ: {told} are in one of the two alone.")
    both = chosen[0].merge(chosen[1], on=["id", "class"], suffixes=("_first", "_second"), validate="one_to_one")
    for what, columns in (("grids", ["tp", "fp", "fn", "tn"]), ("true masks", ["tp", "fn"])):
        sizes = [both[[f"{column}_{run}" for column in columns]].sum(axis=1) for run in ("first", "second")]
        differ = sizes[0] != sizes[1]
        if differ.any():
            raise UserError(
                f"the {what} of {differ.sum()} {subset} images differ, such as of {both['id'][differ].iloc[0]}."
            )
    return both


def changes(both: pd.DataFrame, test: PairedTest) -> list[Change]:
    """The figures of both runs, of a table of `pair`, each of the images that it is defined on."""
    # Groups that hold together what either run does, should their audits differ.
    groups = join(*(both[f"group_{run}"].to_numpy() for run in ("first", "second")))
    lesion = both["lesion_first"].to_numpy()
    found = []
    for name, column, rows in (
        ("lesion Dice", "dice", lesion),
        ("lesion IoU", "iou", lesion),
        ("normals clean", "clean", ~lesion),
        ("Dice, all images", "dice", lesion | True),
    ):
        if rows.any():
            one, two = (both.loc[rows, f"{column}_{run}"].to_numpy(float) for run in ("first", "second"))
            difference = test.mean(two - one, groups[rows])
            found.append(Change(name, int(rows.sum()), float(one.mean()), float(two.mean()), difference))
    if lesion.any() and not lesion.all():
        one, two = (both[f"peak_{run}"].to_numpy(float) for run in ("first", "second"))
        difference = test.auc(one, two, lesion, groups)
        found.append(Change("AUC", len(both), auc(one, lesion), auc(two, lesion), difference))
    return found + _class_changes(both, groups, test)


def _class_changes(both: pd.DataFrame, groups: NDArray[np.int64], test: PairedTest) -> list[Change]:
    """Accuracy of the class, and the area under the ROC curve, malignant against benign; none unless both runs tell."""
    runs = [[f"{name}_{run}" for name in CLASS_PROBABILITIES] for run in ("first", "second")]
    if not set(itertools.chain(*runs)) <= set(both.columns):
        return []
    told = (both["class"] != UNTOLD).to_numpy()
    both, groups = both[told], groups[told]
    true, chances = both["class"].to_numpy(), [both[columns].to_numpy(float) for columns in runs]
    one, two = ((np.array(CLASSES)[chance.argmax(axis=1)] == true).astype(float) for chance in chances)
    found = [Change("class right", len(both), float(one.mean()), float(two.mean()), test.mean(two - one, groups))]
    rows, malignant = true != "normal", true == "malignant"
    if malignant.any() and not malignant[rows].all():
        one, two, malignant = *(malignancy(chance)[rows] for chance in chances), malignant[rows]
        difference = test.auc(one, two, malignant, groups[rows])
        found.append(Change("malignant AUC", len(one), auc(one, malignant), auc(two, malignant), difference))
    return found


def most_changed(both: pd.DataFrame, images: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images that gained and those that lost most Dice, at most so many of each, most first."""
    ranked = both.assign(gain=both["dice_second"] - both["dice_first"]).sort_values(["gain", "id"])
    return ranked[ranked["gain"] > 0][::-1][:images], ranked[ranked["gain"] < 0][:images]
