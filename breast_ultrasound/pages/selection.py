"""Which images a page shows where there are more than it can hold: the same ones for the same table and seed."""

from typing import TypeVar

import pandas as pd

from breast_ultrasound.repeats.quality import FLAGS
from breast_ultrasound.scoring.lesions import has_lesion

Table = TypeVar("Table", pd.DataFrame, pd.Series)


def gallery(tested: pd.DataFrame, most: int, seed: int) -> dict[str, pd.Index]:
    """Choose at most `most` test images of a table with the columns dice and kind, by why they are shown.

    A fifth of them are the `worst` by Dice, ties drawn at random; two fifths, `kinds`, are spread evenly over the kinds
    of error, a rare kind giving all it has; two fifths are drawn at `random` from the rest. No image is in two of
    these, and where there are no more than `most`, every image is in one.
    """
    rest, share = _shuffle(tested, seed), 2 * most // 5
    chosen = {"worst": rest["dice"].sort_values(kind="stable").index[: most - 2 * share]}
    rest = rest.drop(chosen["worst"])
    chosen["kinds"] = evenly(rest["kind"])[:share]
    chosen["random"] = rest.index.drop(chosen["kinds"])[:share]
    return chosen


def examples(tested: pd.DataFrame, each: int) -> dict[str, list[str]]:
    """The ids of the worst, the median and the best test images with a lesion, `each` of these, fewer where there are
    fewer; of a table by id with the columns tp, fn and dice.
    """
    ranked = tested.loc[has_lesion(tested), "dice"].sort_values(kind="stable").index.tolist()
    middle = max(0, len(ranked) // 2 - each // 2)
    return {"worst": ranked[:each], "median": ranked[middle : middle + each], "best": ranked[-each:][::-1]}


def repeats(audit: pd.DataFrame) -> pd.DataFrame:
    """The rows of groups.csv in frames of two images and more, frame by frame, with the number of `members` of each.

    Frames of several classes come first, then those of several patients, then those whose least similar member is the
    least similar.
    """
    repeated = audit[audit["frame"].duplicated(keep=False)]
    frames = repeated.groupby("frame")
    ranked = repeated.assign(members=frames["id"].transform("size"), least=frames["similarity"].transform("min"))
    order = {"conflict": False, "several_patients": False, "least": True, "frame": True}
    ranked = ranked.sort_values(list(order), ascending=list(order.values()), kind="stable")
    return ranked.drop(columns="least")


def sweeps(audit: pd.DataFrame) -> pd.DataFrame:
    """The rows of groups.csv of the first image of each frame in sweeps of two frames and more, sweep by sweep.

    With the number of `members` of each sweep; those whose least close member is the least close come first.
    """
    frames = audit[~audit["frame"].duplicated()]
    swept = frames[frames["sweep"].duplicated(keep=False)]
    of_sweep = swept.groupby("sweep")
    ranked = swept.assign(members=of_sweep["id"].transform("size"), least=of_sweep["closeness"].transform("min"))
    return ranked.sort_values(["least", "sweep"], kind="stable").drop(columns="least")


def flagged(audit: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows of groups.csv without a repeat that carry a flag other than marks, any first ones spread evenly over the
    flags, by the first one that an image carries.
    """
    doubts = [flag for flag in FLAGS if flag != "marks"]
    doubtful = audit[~audit["frame"].duplicated(keep=False) & audit[doubts].any(axis=1)]
    return doubtful.loc[evenly(_shuffle(doubtful[doubts].idxmax(axis=1), seed))]


def evenly(strata: pd.Series) -> pd.Index:
    """The index of `strata`, one a row, put in turns: the first of each stratum, then the second of each, and so on."""
    turn = strata.groupby(strata).cumcount()
    return turn.sort_values(kind="stable").index


def _shuffle(table: Table, seed: int) -> Table:
    return table.sample(frac=1, random_state=seed)
