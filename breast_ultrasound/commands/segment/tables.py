"""The tables of an output folder of `segment`, and the COCO and DICOM files that follow from them."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.commands.segment.jobs import FRAMES, SEG
from breast_ultrasound.findings import table
from breast_ultrasound.findings.table import Row
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans.reading import is_dicom

# Holds findings until they are in the tables, so that a command that is killed loses no work.
_JOURNAL = ".findings.jsonl"


def note(rows: Sequence[Row], output: Path) -> None:
    """Add rows to the journal of the output folder."""
    table.append(rows, output / _JOURNAL)


def has_notes(output: Path) -> bool:
    """Return whether an earlier command was killed before its rows were in the tables."""
    return (output / _JOURNAL).exists()


def write_findings(output: Path) -> list[Row]:
    """Write the tables of all masks in the output folder, from the journal and the tables of earlier commands.

    Removes the journal; returns the rows. UserError if the earlier table holds no findings.
    """
    path, journal = output / "findings.json", output / _JOURNAL
    try:
        new = table.read_journal(journal)
        noted = {row["mask"] for row in new}
        earlier = [row for row in table.read_json(path) if row["mask"] not in noted]
        every = [row for row in earlier + new if (output / row["mask"]).exists()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no findings. Remove it, and run the command again with --overwrite.") from error
    every.sort(key=lambda row: (row["mask"], row["lesion"]))
    for name, write_table in (("findings.csv", table.write_csv), ("findings.json", table.write_json)):
        with atomic_write(output / name) as aside:
            write_table(every, aside)
    journal.unlink(missing_ok=True)
    return every


def write_coco(rows: list[Row], output: Path) -> None:
    """Write the masks of findings as COCO JSON."""
    from breast_ultrasound.findings.coco import coco  # noqa: PLC0415  few ask for it

    names = {row["mask"]: _image_name(row) for row in rows}
    with atomic_write(output / "annotations.json") as aside:
        aside.write_text(json.dumps(coco((name, read_grey(output / mask) > 0) for mask, name in names.items())) + "\n")


def _image_name(row: Row) -> str:
    mask = Path(row["mask"])
    return (mask if _is_of_clip(mask) else mask.with_name(Path(row["image"]).name)).as_posix()


def _is_of_clip(mask: Path) -> bool:
    return mask.parent.name.endswith(FRAMES)


def write_dicom_seg(rows: list[Row], output: Path) -> None:
    """Write the masks of findings of DICOM files as DICOM Segmentations, each beside the mask."""
    from breast_ultrasound.scans import dicom_seg  # noqa: PLC0415  few ask for it

    for image, of_image in itertools.groupby(rows, key=lambda row: row["image"]):
        frames = {row["frame"]: row for row in of_image}
        if not is_dicom(Path(image)):
            continue
        first = next(iter(frames.values()))
        mask = output / first["mask"]
        beside = mask.parent if _is_of_clip(mask) else mask
        target = beside.with_name(f"{beside.stem.removesuffix(FRAMES)}{SEG}")
        spacing = (first["mm_per_row"], first["mm_per_column"]) if first["mm_per_row"] else None
        masks = {number: read_grey(output / row["mask"]) > 0 for number, row in frames.items()}
        dicom_seg.write(target, Path(image), masks, spacing, first["network"][:16])
