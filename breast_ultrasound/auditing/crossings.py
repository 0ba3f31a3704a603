"""What joins images that belong together, by the table of groups.csv, and what of it a split parts."""

from collections.abc import Mapping

import pandas as pd

# By what joins images, the ids of the images of each frame, sweep or patient that a split parts.
Crossings = Mapping[str, list[list[str]]]

# Between the reasons of a group, in a table.
SEPARATOR = ";"

# What there are several of where a frame, a sweep or a patient joins something: a column of groups.csv.
_SEVERAL = {"near-duplicates": "id", "sweeps": "frame", "patients": "sweep"}


def find_crossings(table: pd.DataFrame) -> Crossings:
    """Return the ids of the images of each frame, sweep and patient that is in several folds.

    `table` has rows of groups.csv and the column `fold`, of any values; an image may have several rows. A sweep of a
    single frame is no sweep.

    >>> table = pd.DataFrame({"id": ["a", "b"], "frame": 7, "sweep": [7, 8], "patient": "", "fold": [0, 1]})
    >>> find_crossings(table)
    {'near-duplicates': [['a', 'b']], 'sweeps': [], 'patients': []}
    """
    crossings = {}
    for name, joined in _joined(table).items():
        parted = table[table.groupby(joined)["fold"].transform("nunique") > 1]
        crossings[name] = [rows["id"].tolist() for _, rows in parted.groupby(joined)]
    return crossings


def reasons(table: pd.DataFrame) -> list[str]:
    """Return for each image what joins the images of its group, empty where the group is a single image.

    >>> table = pd.DataFrame({"id": ["a", "b", "c", "d"], "frame": [1, 1, 2, 3], "sweep": [1, 1, 1, 3], "patient": ""})
    >>> reasons(table.assign(group=table["sweep"]))
    ['near-duplicates;sweeps', 'near-duplicates;sweeps', 'near-duplicates;sweeps', '']
    """
    joins = {name: table.groupby(of)[_SEVERAL[name]].transform("nunique") > 1 for name, of in _joined(table).items()}
    of_groups = pd.DataFrame(joins).groupby(table["group"]).transform("any")
    return [SEPARATOR.join(of_groups.columns[row]) for row in of_groups.to_numpy(bool)]


def _joined(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return, by what joins images, the frame, the sweep or the patient of each; missing where there is none."""
    several_frames = table.groupby("sweep")["frame"].transform("nunique") > 1
    return {
        "near-duplicates": table["frame"],
        "sweeps": table["sweep"].where(several_frames),
        "patients": table["patient"].mask(table["patient"] == ""),
    }
