"""Make the table of groups.csv: which images belong together, and what is doubtful about each, with the evidence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.auditing.near_duplicates import NearDuplicatePair
from breast_ultrasound.auditing.quality import BURNED_PIXELS, LOW_CONTRAST
from breast_ultrasound.auditing.search import Relations
from breast_ultrasound.auditing.sweeps import SweepPair
from breast_ultrasound.cases.classes import UNSPECIFIED
from breast_ultrasound.cases.groups import group_by_patient, join_groups


def tabulate(relations: Relations) -> pd.DataFrame:
    """Return all columns of groups.csv but `dropped`, a row an image, flags as booleans."""
    figures, frames, sweeps = relations.figures, relations.frames, relations.sweeps
    groups = join_groups(sweeps, group_by_patient(figures["patient"]))
    table = (
        figures[["id", "class", "source", "patient", "fold"]]
        .astype({"fold": "Int64"})
        .assign(frame=frames, sweep=sweeps, group=groups)
    )
    table = table.join(_nearest(relations.near_duplicates, frames, figures["id"]))
    table = table.join(_closest(relations.sweep_pairs, frames, figures["id"]))
    table["conflict"] = have_conflicts(table)
    table["several_patients"] = table["patient"].mask(table["patient"] == "").groupby(frames).transform("nunique") > 1
    table["marks"] = figures["burned_pixels"] >= BURNED_PIXELS
    table["mask_empty_in_lesion_class"] = (figures["mask_pixels"] == 0) & (figures["class"] != "normal")
    table["mask_touches_border"] = figures["border_pixels"] > 0
    table["mask_many_parts"] = figures["mask_parts"] > figures["masks"]
    table["low_contrast"] = figures["contrast"] < LOW_CONTRAST
    evidence = ["burned_pixels", "mask_pixels", "border_pixels", "mask_parts", "masks", "contrast"]
    return table.join(figures[evidence])


def have_conflicts(table: pd.DataFrame) -> pd.Series:
    """Return for each image whether its frame is filed under classes that exclude each other.

    A lesion whose type is unspecified may be of either type: it conflicts with `normal` alone.

    >>> table = pd.DataFrame({"class": ["benign", "malignant", "benign", "lesion"], "frame": [0, 0, 1, 1]})
    >>> have_conflicts(table).tolist()
    [True, True, False, False]
    """
    is_lesion = table["class"] != "normal"
    specified = table["class"].mask(table["class"] == UNSPECIFIED)
    return (specified.groupby(table["frame"]).transform("nunique") > 1) | (
        is_lesion.groupby(table["frame"]).transform("nunique") > 1
    )


def _nearest(pairs: Sequence[NearDuplicatePair], frames: NDArray[np.int64], ids: pd.Series) -> pd.DataFrame:
    """Return of each image the most similar image of its frame, its similarity and whether it is mirrored.

    A row is missing where an image is the only one of its frame.
    """
    rows = [
        (one, two, pair.similarity, pair.mirrored)
        for pair in pairs
        for one, two in ((pair.first, pair.second), (pair.second, pair.first))
        if frames[one] == frames[two]
    ]
    ranked = pd.DataFrame(rows, columns=["image", "nearest", "similarity", "mirrored"]).sort_values(
        ["image", "similarity", "nearest"], ascending=[True, False, True]
    )
    best = ranked.groupby("image").first()
    return best.assign(nearest=ids.reindex(best["nearest"]).to_numpy())


def _closest(pairs: Sequence[SweepPair], frames: NDArray[np.int64], ids: pd.Series) -> pd.DataFrame:
    """Return of each image the first image of the closest other frame of its sweep, and how close that frame is.

    Both are empty where there is no such frame.
    """
    rows = [
        (frames[one], two, pair.closeness)
        for pair in pairs
        for one, two in ((pair.first, pair.second), (pair.second, pair.first))
    ]
    ranked = pd.DataFrame(rows, columns=["frame", "other", "closeness"]).sort_values(
        ["frame", "closeness", "other"], ascending=[True, False, True]
    )
    best = ranked.groupby("frame").first().reindex(frames).reset_index(drop=True)
    return pd.DataFrame({"neighbour": ids.reindex(best["other"]).to_numpy(), "closeness": best["closeness"]})
