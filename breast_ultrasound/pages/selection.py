"""The choice of images for a page that cannot hold all: the same ones for the same table and seed."""

from typing import TypeVar

import pandas as pd

from breast_ultrasound.auditing.quality import FLAGS
from breast_ultrasound.scoring.lesions import has_lesion

Table = TypeVar("Table", pd.DataFrame, pd.Series)


def gallery(tested: pd.DataFrame, most: int, seed: int) -> dict[str, pd.Index]:
    """Choose at most `most` test images of a table with the columns dice and kind, by the reason for each choice.

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
    """Choose the worst, the median and the best test images with a lesion, at most `each` of these and none twice.

    `tested` is a table by id with the columns tp, fn and dice.
    """
    ranked = tested.loc[has_lesion(tested), "dice"].sort_values(kind="stable").index.tolist()
    worst, best = (min(each, (len(ranked) + spare) // 3) for spare in (2, 1))
    middle = ranked[worst : len(ranked) - best]
    start = max(0, (len(middle) - each) // 2)
    return {
        "worst": ranked[:worst],
        "median": middle[start : start + each],
        "best": ranked[len(ranked) - best :][::-1],
    }


def near_duplicates(audit: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of groups.csv in frames of two images and more, frame by frame, with the number of `members`.

    Frames of several classes come first, then those of several patients, then those whose least similar member is the
    least similar.
    """
    duplicated = audit[audit["frame"].duplicated(keep=False)]
    frames = duplicated.groupby("frame")
    ranked = duplicated.assign(members=frames["id"].transform("size"), least=frames["similarity"].transform("min"))
    order = {"conflict": False, "several_patients": False, "least": True, "frame": True}
    ranked = ranked.sort_values(list(order), ascending=list(order.values()), kind="stable")
    return ranked.drop(columns="least")


def sweeps(audit: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of groups.csv of the first image of each frame in sweeps of two frames and more, sweep by sweep.

    They come with the number of `members` of their sweep; those whose least close member is the least close come first.
    """
    frames = audit[~audit["frame"].duplicated()]
    swept = frames[frames["sweep"].duplicated(keep=False)]
    grouped = swept.groupby("sweep")
    ranked = swept.assign(members=grouped["id"].transform("size"), least=grouped["closeness"].transform("min"))
    return ranked.sort_values(["least", "sweep"], kind="stable").drop(columns="least")


def flagged(audit: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the rows of groups.csv without a near-duplicate that carry a flag other than marks.

    However many are taken from the front, they are spread evenly over the flags, by the first that an image carries.
    """
    doubts = [flag for flag in FLAGS if flag != "marks"]
    doubtful = audit[~audit["frame"].duplicated(keep=False) & audit[doubts].any(axis=1)]
    return doubtful.loc[evenly(_shuffle(doubtful[doubts].idxmax(axis=1), seed))]


def evenly(strata: pd.Series) -> pd.Index:
    """Order the index of `strata` in turns: the first row of each stratum, then the second of each, and so on."""
    turn = strata.groupby(strata).cumcount()
    return turn.sort_values(kind="stable").index


def _shuffle(table: Table, seed: int) -> Table:
    return table.sample(frac=1, random_state=seed)
