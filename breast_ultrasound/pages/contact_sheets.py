"""The contact sheets of the audit: near-duplicates, sweeps and flagged images."""

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from breast_ultrasound.auditing.quality import FLAGS
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.pages import selection
from breast_ultrasound.pages.overlay import TRUTH, overlay
from breast_ultrasound.pages.rendering import jpeg, shrink, shrink_mask
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_machines

_WIDTH = 160

Row = dict[Hashable, Any]


def build_contact_sheets(audit: pd.DataFrame, cases: Sequence[Case], most: int, seed: int) -> dict[str, Any]:
    """Draw at most `most` pictures each of the near-duplicates, of the frames of sweeps, and of the images without a
    near-duplicate that carry a flag other than marks. `audit` is groups.csv.
    """
    near_duplicates, sweeps = selection.near_duplicates(audit), selection.sweeps(audit)
    flagged = selection.flagged(audit, seed)
    of_frames = _draw_rows(near_duplicates[:most], cases, "draw near-duplicates")
    of_sweeps = _draw_rows(sweeps[:most], cases, "draw sweeps")
    return {
        "near_duplicates": _runs(of_frames, "frame"),
        "sweeps": _runs(of_sweeps, "sweep"),
        "flagged": _draw_rows(flagged[:most].sort_index(), cases, "draw flagged images"),
        "flagged_images": len(flagged),
        "sheet_width": _WIDTH,
    }


def draw_card(case_and_row: tuple[Case, Row]) -> Row:
    """Draw an image with its true contour; returned are its row of groups.csv, its flags in words and the picture."""
    case, row = case_and_row
    image = read_grey(case.image)
    flags = [flag.replace("_", " ") for flag in FLAGS if row[flag]]
    if row["dropped"] != "no":
        flags.append(f"dropped: {row['dropped']}")
    small: Grey = shrink(image, _WIDTH)
    mask = shrink_mask(read_merged_mask(case, *image.shape), _WIDTH)
    return {**row, "flags": flags, "picture": jpeg(overlay(small, [(mask, TRUTH)])), "height": small.shape[0]}


def _draw_rows(table: pd.DataFrame, cases: Sequence[Case], label: str) -> list[Row]:
    case_by_id = {case.id: case for case in cases}
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return list(map_on_all_machines(draw_card, [(case_by_id[row["id"]], row) for row in rows], label))


def _runs(cards: list[Row], column: str) -> list[list[Row]]:
    """Split cards where the value of a column changes."""
    return [list(members) for _, members in itertools.groupby(cards, lambda card: card[column])]
