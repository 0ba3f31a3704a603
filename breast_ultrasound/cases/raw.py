"""The verified data set, as the stage `download` writes it and the later ones read it, whatever its sources.

`<class>/<id>.png` with its masks `<id>_mask.png`, `<id>_mask_1.png`, …, one at least; cases.csv, a row an image, itself
a case table (breast_ultrasound/sources/case_table.py); and sources.json, what the sources are.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from breast_ultrasound.cases.images import merge_masks, read_mask, write_png
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import write_json
from breast_ultrasound.pipeline.params import Section
from breast_ultrasound.pipeline.tables import read_table

RAW = Path("data/raw")
TABLE, SOURCES = "cases.csv", "sources.json"
# Between the masks of an image, in the table.
SEPARATOR = ";"


@dataclass(frozen=True)
class Case:
    """An image and its masks, at least one; `id` is the file stem, `cls` one of LABELS.

    Of what is not recorded `patient`, `source`, `device` and `birads` are empty, `mm_per_pixel` and `fold`, which a
    published split gives an image, are None.
    """

    id: str
    cls: str
    image: Path
    masks: tuple[Path, ...]
    patient: str = ""
    mm_per_pixel: float | None = None
    source: str = ""
    device: str = ""
    birads: str = ""
    fold: int | None = None


@dataclass(frozen=True)
class Source:
    """One source of the images: its number of images, and of a public release where it is and how it may be used."""

    name: str
    images: int
    title: str = ""
    page: str = ""
    licence: str = ""
    citation: str = ""


class SourceNames(Section, extra="ignore"):
    """The names of the sources, of the section `data`."""

    sources: Annotated[tuple[str, ...], Field(strict=False)]


def image_file(root: Path, cls: str, case_id: str) -> Path:
    """Return the path of an image."""
    return root / cls / f"{case_id}.png"


def mask_file(root: Path, cls: str, case_id: str, number: int) -> Path:
    """Return the path of a mask of an image, counted from 0."""
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
            "source": case.source,
            "patient": case.patient,
            "device": case.device,
            "birads": case.birads,
            "mm_per_pixel": case.mm_per_pixel,
            "fold": case.fold,
            "image": case.image.relative_to(root).as_posix(),
            "masks": SEPARATOR.join(mask.relative_to(root).as_posix() for mask in case.masks),
        }
        for case in sorted(cases, key=lambda case: (case.cls, _numerically(case.id)))
    ]
    pd.DataFrame(rows).astype({"fold": "Int64"}).to_csv(root / TABLE, index=False)


def read_cases(root: Path) -> list[Case]:
    """Read the cases that lie below `root`, in the order of their table."""
    return [
        Case(
            id=row["id"],
            cls=row["class"],
            image=root / row["image"],
            masks=tuple(root / mask for mask in row["masks"].split(SEPARATOR)),
            patient=row["patient"],
            mm_per_pixel=None if pd.isna(row["mm_per_pixel"]) else row["mm_per_pixel"],
            source=row["source"],
            device=row["device"],
            birads=row["birads"],
            fold=None if pd.isna(row["fold"]) else int(row["fold"]),
        )
        for row in read_table(root / TABLE).to_dict("records")
    ]


def write_sources(root: Path, sources: Iterable[Source]) -> None:
    """Write what the sources of the data set below `root` are."""
    records = [asdict(source) for source in sources]
    write_json(root / SOURCES, records)


def read_sources(root: Path) -> list[Source]:
    """Read what the sources of the data set below `root` are."""
    return [Source(**record) for record in json.loads((root / SOURCES).read_text(encoding="utf-8"))]


def find_case(root: Path, cls: str, case_id: str) -> Case:
    """Return a case by the files that lie there, without the table."""
    masks = (root / cls).glob(f"{case_id}_mask*.png")
    return Case(case_id, cls, image_file(root, cls, case_id), tuple(sorted(masks)))


def read_merged_mask(case: Case, height: int, width: int) -> Mask:
    """Read all masks of a case, merged: bool [height, width]; UserError where one has another size."""
    masks = [read_mask(path) for path in case.masks]
    for path, mask in zip(case.masks, masks, strict=True):
        if mask.shape != (height, width):
            size = f"{mask.shape[1]}×{mask.shape[0]}"
            raise UserError(f"{path}: is {size} pixels, its image {width}×{height}. Replace the one that is wrong.")
    return merge_masks(masks)


def _numerically(case_id: str) -> tuple[list[str | int], str]:
    """Return a key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", case_id)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], case_id
