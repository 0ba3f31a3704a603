"""The tables of an output folder of the command `segment`, and what is made of them."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.commands.segment.jobs import FRAMES, SEG
from breast_ultrasound.findings import table
from breast_ultrasound.findings.table import Row
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.scans.reading import is_dicom

# What was found, until it is in the tables: so a command that is killed loses nothing that it has done.
_JOURNAL = ".findings.jsonl"


def note(rows: Sequence[Row], output: Path) -> None:
    """Note rows in the journal of the output folder, lest the command be killed before they are in its tables."""
    table.append(rows, output / _JOURNAL)


def has_notes(output: Path) -> bool:
    """Whether an earlier command was killed before its rows were in the tables."""
    return (output / _JOURNAL).exists()


def write_findings(output: Path) -> list[Row]:
    """Write the tables of all masks in the output folder: those of the journal, which goes, and of earlier commands."""
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
        with written_aside(output / name) as aside:
            write_table(every, aside)
    journal.unlink(missing_ok=True)
    return every


def write_coco(rows: list[Row], output: Path) -> None:
    """Write the masks of findings as COCO JSON."""
    from breast_ultrasound.findings.coco import coco  # noqa: PLC0415  few ask for it

    def named(row: Row) -> str:
        mask = Path(row["mask"])
        of_several = mask.parent.name.endswith(FRAMES)
        return (mask if of_several else mask.with_suffix(Path(row["image"]).suffix)).as_posix()

    names = {row["mask"]: named(row) for row in rows}
    with written_aside(output / "annotations.json") as aside:
        aside.write_text(json.dumps(coco((name, read_mask(output / mask)) for mask, name in names.items())) + "\n")


def write_dicom_seg(rows: list[Row], output: Path) -> None:
    """Write the masks of findings of DICOM files as DICOM Segmentations, each beside the mask."""
    from breast_ultrasound.scans import dicom_seg  # noqa: PLC0415  few ask for it

    for image, of_image in itertools.groupby(rows, key=lambda row: row["image"]):
        frames = {row["frame"]: row for row in of_image}
        if not is_dicom(Path(image)):
            continue
        first = next(iter(frames.values()))
        mask = output / first["mask"]
        beside = mask.parent if mask.parent.name.endswith(FRAMES) else mask
        target = beside.with_name(f"{beside.stem.removesuffix(FRAMES)}{SEG}")
        spacing = (first["mm_per_row"], first["mm_per_column"]) if first["mm_per_row"] else None
        masks = {number: read_mask(output / row["mask"]) for number, row in frames.items()}
        dicom_seg.write(target, Path(image), masks, spacing, first["network"][:16])
