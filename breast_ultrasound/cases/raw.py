"""The verified data set, as the stage `download` writes it and the later ones read it, whatever its source.

`<class>/<id>.png` with its masks `<id>_mask.png`, `<id>_mask_1.png`, …, one at least, and cases.csv, a row an image: a
case table as `data.source: custom` takes it (breast_ultrasound/sources/case_table.py).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.images import merge_masks, read_mask, write_png
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.tables import read_table

RAW = Path("data/raw")
TABLE = "cases.csv"
# Between the masks of an image, in the table.
SEPARATOR = ";"


@dataclass(frozen=True)
class Case:
    """An image and its masks, at least one; `id` is the file stem, `cls` one of LABELS.

    `patient` is empty and `mm_per_pixel` None where it is not known.
    """

    id: str
    cls: str
    image: Path
    masks: tuple[Path, ...]
    patient: str = ""
    mm_per_pixel: float | None = None


def image_file(root: Path, cls: str, case_id: str) -> Path:
    """Where an image lies."""
    return root / cls / f"{case_id}.png"


def mask_file(root: Path, cls: str, case_id: str, number: int) -> Path:
    """Where a mask of an image lies, counted from 0."""
    return root / cls / f"{case_id}_mask{f'_{number}' if number else ''}.png"


def write_pictures(case: Case, image: Grey, masks: Sequence[Mask]) -> None:
    """Write an image uint8 [height, width] and its masks bool of its shape to the files of a case."""
    write_png(case.image, image)
    for path, mask in zip(case.masks, masks, strict=True):
        write_png(path, mask.astype("uint8") * 255)


def write_table(root: Path, cases: Iterable[Case]) -> None:
    """Write the table of the cases, whose files lie below `root`, sorted by class and number."""
    rows = [
        {
            "id": case.id,
            "class": case.cls,
            "patient": case.patient,
            "mm_per_pixel": case.mm_per_pixel,
            "image": case.image.relative_to(root).as_posix(),
            "masks": SEPARATOR.join(mask.relative_to(root).as_posix() for mask in case.masks),
        }
        for case in sorted(cases, key=lambda case: (case.cls, _numerically(case.id)))
    ]
    pd.DataFrame(rows).to_csv(root / TABLE, index=False)


def read_cases(root: Path) -> list[Case]:
    """The cases that lie below `root`, in the order of their table."""
    return [
        Case(
            row["id"],
            row["class"],
            root / row["image"],
            tuple(root / mask for mask in row["masks"].split(SEPARATOR)),
            row["patient"],
            None if pd.isna(row["mm_per_pixel"]) else row["mm_per_pixel"],
        )
        for row in read_table(root / TABLE).to_dict("records")
    ]


def find_case(root: Path, cls: str, case_id: str) -> Case:
    """A case by the files that lie there, without the table."""
    masks = (root / cls).glob(f"{case_id}_mask*.png")
    return Case(case_id, cls, image_file(root, cls, case_id), tuple(sorted(masks)))


def read_merged_mask(case: Case, height: int, width: int) -> Mask:
    """All masks of a case merged: bool [height, width]; UserError where one has another size."""
    masks = [read_mask(path) for path in case.masks]
    for path, mask in zip(case.masks, masks, strict=True):
        if mask.shape != (height, width):
            found = f"{mask.shape[1]}×{mask.shape[0]}"
            raise UserError(f"{path}: is {found} pixels, its image {width}×{height}. Replace the one that is wrong.")
    return merge_masks(masks)


def _numerically(case_id: str) -> tuple[list[str | int], str]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", case_id)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], case_id
