"""Write a first case table for a folder of images: `uv run cases FOLDER`.

Takes pictures and DICOM files, with masks in the layouts that people use: pairs such as `x.png` and `x_mask.png`;
folders such as `images` and `masks`, `imagesTr` and `labelsTr`, `JPEGImages` and `SegmentationClass`; class folders,
also one in the other; a COCO file with the outlines of all images; and DICOM Segmentations of DICOM files, whatever
their names are. Writes FOLDER/cases.csv, to be looked at and edited. Classes and patients come from a table of
comma-separated values in the folder that has a line for each image; classes otherwise from the names of folders; all
others are `lesion` where a mask shows one and `normal` where it is empty. Prints which images have no mask and which
masks no image.

Not part of the pipeline, which takes the table with `data.sources`.
"""

import argparse
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from breast_ultrasound.cases.classes import LABELS, UNSPECIFIED
from breast_ultrasound.cases.names import normalise
from breast_ultrasound.cases.pairing import Pairing, pair
from breast_ultrasound.cases.raw import SEPARATOR, TABLE
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.tables import is_formula
from breast_ultrasound.scans.folders import walk
from breast_ultrasound.scans.reading import DICOM, PICTURES, is_dicom
from breast_ultrasound.sources.coco import Outlines, read_coco
from breast_ultrasound.sources.mask_files import read_true_mask

SUFFIXES = PICTURES | DICOM

# What an id may not hold, begin with (a spreadsheet may compute it) or end with.
_UNSAFE = re.compile(r"[^\w .()+-]|^\W|[^\w)]$")

_PATIENT_COLUMNS = {"patient", "patient_id", "patientid", "subject", "case", "case_id", "caseid"}


@dataclass(frozen=True)
class Notes:
    """The classes and patients that a table holds, by the stem of the image; `source` is its name."""

    source: str
    classes: dict[str, str]
    patients: dict[str, str]


def list_files(folder: Path) -> tuple[list[PurePosixPath], list[PurePosixPath], list[PurePosixPath]]:
    """List the images (by name, DICOM by its first bytes), COCO files and tables of a folder, relative to it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder.")
    paths = list(walk(folder))
    images = [path for path in paths if path.suffix.lower() in SUFFIXES or is_dicom(path)]
    outlines = [path for path in paths if path.suffix.lower() == ".json" and _may_be_coco(path)]
    tables = [path for path in paths if path.suffix.lower() == ".csv"]
    images, outlines, tables = (
        [PurePosixPath(path.relative_to(folder).as_posix()) for path in each] for each in (images, outlines, tables)
    )
    return images, outlines, tables


def _may_be_coco(path: Path) -> bool:
    """Return False for JSON that is something else, such as the description of a data set."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return True
    return isinstance(content, dict) and "annotations" in content


def pair_segmentations(folder: Path, files: Sequence[PurePosixPath]) -> Pairing:
    """Pair the DICOM Segmentations of a folder with the images that they refer to, and other files by their names."""
    # Takes a third of a second to load, which those with pictures needn't wait for.
    from breast_ultrasound.scans.dicom_masks import read_references, read_uid  # noqa: PLC0415

    objects = [file for file in files if is_dicom(folder / file)]
    references = {file: uids for file in objects if (uids := read_references(folder / file)) is not None}
    image_of = {read_uid(folder / file): file for file in objects if file not in references}
    pairing = pair([file for file in files if file not in references])
    for file, uids in references.items():
        images = {image_of[uid] for uid in uids if uid in image_of}
        if not images:
            pairing.unpaired.append(file)
        for image in images:
            pairing.masks.setdefault(image, []).append(file)
    return pairing


def read_notes(tables: Sequence[Path], images: Sequence[PurePosixPath]) -> Notes | None:
    """Read the table that holds most of every image: its class, its patient or both; None where there is none."""
    stems = {normalise(image).stem for image in images}
    notes = [notes for table in tables if (notes := _notes_of(table, stems))]
    return max(notes, key=lambda each: bool(each.classes) + bool(each.patients), default=None)


def _notes_of(table: Path, stems: set[str]) -> Notes | None:
    """Return the classes and patients of a table; None where no column names all images, or none is of these two."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    columns = [name for name in (rows[0] if rows else {}) if name]
    names = next((name for name in columns if stems <= {normalise(row[name]).stem for row in rows}), None)
    others = [name for name in columns if name != names]
    classes = next((name for name in others if {row[name].strip().lower() for row in rows} <= {*LABELS}), None)
    patients = next((name for name in others if name.strip().lower() in _PATIENT_COLUMNS), None)
    if names is None or not (classes or patients):
        return None
    by_stem = {normalise(row[names]).stem: row for row in rows}
    for row in rows if patients else ():
        if is_formula(row[patients].strip()):
            raise UserError(
                f"{table}: patient {row[patients].strip()!r} is what a spreadsheet would compute. Give another name."
            )
    return Notes(
        table.name,
        {stem: row[classes].strip().lower() for stem, row in by_stem.items()} if classes else {},
        {stem: row[patients].strip() for stem, row in by_stem.items()} if patients else {},
    )


def case_ids(images: Sequence[PurePosixPath]) -> list[str]:
    """Return an id for each image: the name of its file, with the folders before it where others have the same name."""
    stems = Counter(image.stem.casefold() for image in images)
    long = (
        image.stem if stems[image.stem.casefold()] == 1 else " ".join(image.with_suffix("").parts) for image in images
    )
    return [_UNSAFE.sub("_", str(normalise(text))) for text in long]


def table_rows(folder: Path, pairing: Pairing, coco: PurePosixPath | None, notes: Notes | None) -> list[dict[str, str]]:
    """Return the rows of the table; `coco` is the file that outlines images without masks, if there is one."""
    outlines = _read_outlines(folder, coco) if coco else None

    def row(image: PurePosixPath) -> dict[str, str]:
        masks = pairing.masks.get(image, [])
        outlined = outlines.of(image) if outlines and not masks else None
        if coco and outlined and len(outlined.entries) == 1:
            masks = [coco]
        stem = normalise(image).stem
        cls = notes.classes.get(stem, "") if notes else ""
        cls = cls or next((part.lower() for part in reversed(image.parts) if part.lower() in LABELS), "")
        if masks and not cls:
            is_lesion = outlined.lesions if outlined else any(read_true_mask(folder / mask).any() for mask in masks)
            cls = UNSPECIFIED if is_lesion else "normal"
        patient = notes.patients.get(stem, "") if notes else ""
        return {
            "image": _cell(image),
            "masks": SEPARATOR.join(map(_cell, masks)),
            "class": cls,
            "patient": patient,
        }

    rows = map_on_all_cores(row, pairing.images, "read masks")
    return [{"id": case_id} | cells for case_id, cells in zip(case_ids(pairing.images), rows, strict=True)]


def _read_outlines(folder: Path, coco: PurePosixPath) -> Outlines:
    try:
        return read_coco(folder / coco, folder)
    except UserError as error:
        raise UserError(f"{folder / coco}: {error}") from error


def _cell(path: PurePosixPath) -> str:
    """Return a path as text that spreadsheets show as it is."""
    return f"./{path}" if is_formula(str(path)) else str(path)


def summary_lines(rows: Sequence[dict[str, str]], pairing: Pairing, notes: Notes | None) -> Iterator[str]:
    """Yield the lines that the command prints."""
    counts = Counter(row["class"] or "no class" for row in rows)
    yield f"{len(rows)} images: " + ", ".join(f"{count} {cls}" for cls, count in sorted(counts.items()))
    if notes:
        parts = [name for name, values in (("classes", notes.classes), ("patients", notes.patients)) if values]
        yield f"{' and '.join(parts)} are those of {notes.source}"
    without_mask = [row["image"] for row in rows if not row["masks"] and row["class"] != "normal"]
    for label, names in (
        ("images without a mask", without_mask),
        ("masks without an image", pairing.unpaired),
        ("left out, outlines of other things than the lesions", pairing.left_out),
    ):
        if names:
            yield f"{label}: {', '.join(map(str, names))}"


def parse() -> Path:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder of the images; the table goes there")
    return parser.parse_args().folder


@command
def main() -> None:
    """Write the table of the folder named on the command line."""
    folder = parse()
    table = folder / TABLE
    if table.exists():
        raise UserError(f"{table}: is there already, and may have been edited. Remove it to have a new one.")
    files, outlined, tables = list_files(folder)
    pairing = pair_segmentations(folder, files)
    if not pairing.images:
        raise UserError(f"{folder}: holds no image ({', '.join(sorted(SUFFIXES))}).")
    if len(outlined) > 1:
        raise UserError(f"{folder}: holds {len(outlined)} COCO files. Leave one of them there.")
    notes = read_notes([folder / path for path in tables], pairing.images)
    rows = table_rows(folder, pairing, outlined[0] if outlined else None, notes)
    with atomic_write(table) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "image", "masks", "class", "patient", "mm_per_pixel"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(summary_lines(rows, pairing, notes)))
    print(f"written: {table}. Look at it, correct the classes, and fill in the patients that you can name.")


if __name__ == "__main__":
    main()
