"""A table of anyone's own images, cases.csv, with the columns

- `image`: its path, relative to the table: a picture in any format that OpenCV reads, or a DICOM file of one frame;
- `masks`: none, or one or several paths with `;` between; or one COCO file that holds the outlines of the image;
- `class`: benign, malignant, normal, or lesion where benign and malignant are not told apart;
- `id` (optional): a name that can be a file's; by default that of the image file;
- `patient` (optional): what the images of one person have in common, empty where it is not known;
- `mm_per_pixel` (optional): the size of a pixel; where it is empty, what a DICOM file tells of square pixels.

Masks have the size of the whole image as viewers show it. Of a DICOM file that tells where it shows tissue, this region
is taken over (scans/dicom.py), and so much of the masks: what `segment` gives the network of such a file.

Every row is checked before anything is kept, and all that is wrong is told at once, by line number.
"""

import csv
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import cv2
import numpy as np

from breast_ultrasound.cases.classes import LABELS
from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.cases.raw import SEPARATOR, Case, image_file, mask_file, write_pictures
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import opened
from breast_ultrasound.scans.scan import Frame
from breast_ultrasound.sources.coco import Outlines, read_coco

# A line of the table, and what is wrong there.
Problem: TypeAlias = tuple[int, str]

REQUIRED, OPTIONAL = ("image", "masks", "class"), ("id", "patient", "mm_per_pixel")

# What every file system, shell and page takes as part of a file's name.
_ID = re.compile(r"\w([\w .()+-]{0,98}[\w)])?")
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A row of a table, as it stands there; `root` is the folder of the table, `line` counts from 1."""

    root: Path
    line: int
    image: PurePosixPath
    masks: tuple[PurePosixPath, ...]
    cls: str
    id: str
    patient: str
    mm_per_pixel: str
    surplus: bool

    def case(self, folder: Path, masks: int, told: float | None) -> Case:
        """What becomes of the row below `folder`, with so many masks and pixels of a size that the image may tell."""
        return Case(
            self.id,
            self.cls,
            image_file(folder, self.cls, self.id),
            tuple(mask_file(folder, self.cls, self.id, number) for number in range(masks)),
            self.patient,
            float(self.mm_per_pixel) if self.mm_per_pixel else told,
        )


def is_safe(case_id: str) -> bool:
    """Whether an id can be the name of a file anywhere, beside those of masks."""
    return bool(_ID.fullmatch(case_id)) and not _RESERVED.fullmatch(case_id) and "_mask" not in case_id.lower()


def copy_table(table: Path, folder: Path) -> list[Case]:
    """Write what a table names to `folder`: images as grey PNG files of 8 bits, masks as black and white ones.

    UserError names everything that is wrong with it.
    """
    rows = _read_rows(table)
    for cls in {row.cls for row in rows} & set(LABELS):
        (folder / cls).mkdir()
    outlines, problems = _read_outlines(rows)
    problems += _repeated(rows)
    readable = [row for row in rows if all(path in outlines for path in row.masks if _is_coco(path))]
    cases = []
    drawn = ((row, _of_row(row, outlines)) for row in readable)
    taken = map_on_all_machines(partial(_take, folder), drawn, "check", len(readable))
    for row, found in zip(readable, taken, strict=True):
        if isinstance(found, Case):
            cases.append(found)
        else:
            problems += [(row.line, problem) for problem in found]
    if problems:
        lines = "\n".join(f"line {line}: {told}" for line, told in sorted(problems))
        raise UserError(f"{table.name}: nothing was taken over, faults: {len(problems)}\n{lines}")
    return cases


def _read_rows(table: Path) -> list[Row]:
    """The rows of a table; UserError where it is no table, lacks a column or is empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [_row(table.parent, reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a table of comma-separated values in UTF-8 ({error}).") from error
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(
            f"{table.name}: lacks the columns {', '.join(missing)}; its first line is {','.join(columns)!r}."
        )
    if not rows:
        raise UserError(f"{table.name}: is empty. Add a line for each image.")
    unused = [name for name in columns if name not in REQUIRED + OPTIONAL]
    if unused:
        print(f"{table.name}: columns that are not used: {', '.join(unused)}")
    return rows


def _row(root: Path, line: int, cells: dict[str | Any, str | Any]) -> Row:
    text = {name: (cells.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
    image, *masks = (
        PurePosixPath(path.strip().replace("\\", "/")) for path in (text["image"], *text["masks"].split(SEPARATOR))
    )
    return Row(
        root,
        line,
        image,
        tuple(mask for mask in masks if mask.name),
        text["class"],
        text["id"] or image.stem,
        text["patient"],
        text["mm_per_pixel"],
        # Where the reader puts cells beyond the columns.
        None in cells,
    )


def _read_outlines(rows: Iterable[Row]) -> tuple[dict[PurePosixPath, Outlines], list[Problem]]:
    """The COCO files that rows name, by path, and what is wrong with the others, told where they are named first."""
    first = {path: row for row in reversed(list(rows)) for path in row.masks if _is_coco(path)}
    read, problems = {}, []
    for path, row in first.items():
        try:
            _check_inside(row, path)
            read[path] = read_coco(row.root / path)
        except UserError as error:
            problems.append((row.line, f"{path}: {error}"))
    return read, problems


def _repeated(rows: Iterable[Row]) -> Iterator[Problem]:
    """The ids and images that an earlier row has; ids that differ in case alone would be one file on some systems."""
    line_of: dict[str | Path, int] = {}
    for row in rows:
        for what, name, key in (
            ("id", row.id, row.id.casefold()),
            ("image", row.image, (row.root / row.image).resolve()),
        ):
            if key in line_of:
                yield row.line, f"the {what} {name} is already in line {line_of[key]}."
            line_of.setdefault(key, row.line)


def _of_row(row: Row, outlines: dict[PurePosixPath, Outlines]) -> dict[PurePosixPath, Outlines]:
    """What the COCO files that a row names hold of its image."""
    return {path: outlines[path].of(row.image) for path in row.masks if _is_coco(path)}


def _take(folder: Path, named: tuple[Row, dict[PurePosixPath, Outlines]]) -> Case | list[str]:
    """Write the pictures of a row and return its case, or return all that is wrong with it."""
    row, outlines = named
    faults, read = list(_faults(row)), []
    if not row.image.name:
        return faults
    for path in (row.image, *row.masks):
        try:
            _check_inside(row, path)
            read.append(_pictures(row, path, outlines))
        except UserError as error:
            faults.append(f"{path}: {error}".replace(f"{path}: {row.root / path}: ", f"{path}: "))
    if len(read) > len(row.masks):
        (frame,), masks = read[0], list(itertools.chain(*read[1:]))
        faults += _misfits(row, frame, masks)
        if not faults:
            kept = [frame.cut(mask) for mask in masks] or [np.zeros(frame.image.shape, bool)]
            case = row.case(folder, len(kept), _side(frame.mm_per_pixel))
            write_pictures(case, frame.image, kept)
            return case
    return faults


def _pictures(row: Row, path: PurePosixPath, outlines: dict[PurePosixPath, Outlines]) -> list[Any]:
    """The image of a row, a frame, or the masks that one of its paths names, bool of the shape of the whole frame."""
    if path == row.image:
        return [_only_frame(row.root / path)]
    return outlines[path].draw(row.image) if _is_coco(path) else [read_mask(row.root / path)]


def _only_frame(path: Path) -> Frame:
    # The table says what it shows, whatever a DICOM file calls it.
    with opened(path, any_modality=True) as scan:
        if scan.length != 1:
            raise UserError(
                f"{path}: holds {scan.length} frames, a row is one image. Save the frame that it means as a file."
            )
        # To the end: the decoder expects it before the file is closed.
        frame, *_ = scan.frames
    return frame


def _side(mm_per_pixel: tuple[float, float] | None) -> float | None:
    """The side of a pixel, where it is known and a square up to a hundredth."""
    if mm_per_pixel is None or not math.isclose(*mm_per_pixel, rel_tol=0.01):
        return None
    return sum(mm_per_pixel) / 2


def _faults(row: Row) -> Iterator[str]:
    """What is wrong with the text of a row."""
    if row.surplus:
        yield "has more cells than the first line."
    if not row.image.name:
        yield "names no image."
    if row.image in row.masks:
        yield "names its image as its mask."
    if row.cls not in LABELS:
        yield f"class {row.cls!r} is none of {', '.join(LABELS)}."
    elif row.cls != "normal" and not row.masks:
        yield f"is filed as {row.cls}, but names no mask."
    if not is_safe(row.id):
        yield (
            f"the id {row.id!r} can't be a file's name: letters, digits, spaces and _ . ( ) + - do, 100 at most, "
            "without `_mask`, with a letter or digit first and no space or dot last. Give another in the column id."
        )
    if row.mm_per_pixel and not _is_length(row.mm_per_pixel):
        yield f"mm_per_pixel {row.mm_per_pixel!r} is no number above 0; leave it empty where it is not known."


def _misfits(row: Row, frame: Frame, masks: Sequence[Mask]) -> Iterator[str]:
    """What is wrong with the pictures of a row."""
    rows, columns = frame.whole.shape
    sizes = {mask.shape for mask in masks} - {frame.whole.shape}
    for height, width in sorted(sizes):
        yield f"a mask is of {width}×{height} pixels, its image of {columns}×{rows}."
    if not sizes and any(_loses_a_part(frame, mask) for mask in masks):
        yield "a mask shows a lesion outside the region that the file calls tissue; save the image as a picture."
    if row.cls == "normal" and any(mask.any() for mask in masks):
        yield "is filed as normal, but its mask shows a lesion."
    if row.cls != "normal" and row.masks and not masks:
        yield f"is filed as {row.cls}, but {row.masks[0]} outlines nothing in it."


def _loses_a_part(frame: Frame, mask: Mask) -> bool:
    """Whether a connected part of a mask of the whole frame lies outside of its region altogether."""
    parts = np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1])
    return not np.isin(parts[mask], frame.cut(parts)).all()


def _check_inside(row: Row, path: PurePosixPath) -> None:
    if row.root.resolve() not in (row.root / path).resolve().parents:
        raise UserError("leads outside the folder of the table.")


def _is_coco(path: PurePosixPath) -> bool:
    return path.suffix.lower() == ".json"


def _is_length(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
