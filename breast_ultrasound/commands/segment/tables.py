"""The tables of an output folder of `segment`, and the COCO and DICOM files that follow from them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.commands.segment.jobs import FRAMES, Job
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


def has_findings(output: Path) -> bool:
    """Return whether an earlier command wrote to the output folder."""
    return has_notes(output) or (output / "findings.json").exists()


def read_findings(output: Path) -> list[Row]:
    """Return the rows of all masks in the output folder, from the journal and the tables of earlier commands.

    UserError if the earlier table holds no findings.
    """
    path = output / "findings.json"
    try:
        new = table.read_journal(output / _JOURNAL)
        noted = {row["mask"] for row in new}
        earlier = [row for row in table.read_json(path) if row["mask"] not in noted]
        rows = [row for row in earlier + new if (output / row["mask"]).exists()]
        return sorted(rows, key=lambda row: (row["mask"], row["lesion"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no findings. Remove it, and run the command again with --overwrite.") from error


def write_findings(output: Path) -> list[Row]:
    """Write the rows of `read_findings` to the tables, remove the journal and return the rows."""
    rows = read_findings(output)
    for name, write_table in (("findings.csv", table.write_csv), ("findings.json", table.write_json)):
        with atomic_write(output / name) as aside:
            write_table(rows, aside)
    (output / _JOURNAL).unlink(missing_ok=True)
    return rows


def check_alike(rows: Iterable[Row], network: str, threshold: float | None, output: Path) -> None:
    """Raise UserError if masks with findings were made with another network or threshold than given here."""
    for row in rows:
        if row.get("network") != network:
            other = f"another network ({row.get('network')})"
        elif row.get("threshold") != threshold:
            other = f"threshold {row['threshold']}" if row.get("threshold") else "the fitted post-processing"
        else:
            continue
        raise UserError(
            f"{output / 'findings.json'}: holds masks made with {other}. Give another folder with --output, or "
            "--overwrite and all scans of this one."
        )


def write_coco(rows: list[Row], output: Path) -> None:
    """Write the masks of findings as COCO JSON."""
    from breast_ultrasound.findings.coco import coco  # noqa: PLC0415  few ask for it

    names = {row["mask"]: _image_name(row) for row in rows}
    with atomic_write(output / "annotations.json") as aside:
        aside.write_text(json.dumps(coco((name, read_grey(output / mask) > 0) for mask, name in names.items())) + "\n")


def _image_name(row: Row) -> str:
    mask = Path(row["mask"])
    return (mask if mask.parent.name.endswith(FRAMES) else mask.with_name(Path(row["image"]).name)).as_posix()


def write_dicom_seg(rows: Sequence[Row], jobs: Iterable[Job], output: Path) -> list[str]:
    """Write the DICOM Segmentation of each job that lacks one and whose scan is a DICOM file, from its masks.

    Return lines that name those that cannot be written.
    """
    of_scan: defaultdict[Path, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        mask = output / row["mask"]
        of_scan[mask.parent if mask.parent.name.endswith(FRAMES) else mask][row["frame"]] = row
    lacking = [job for job in jobs if not job.segmentation.exists() and is_dicom(job.scan)]
    problems = []
    for job in lacking:
        frames = of_scan[job.frames] or of_scan[job.mask]
        try:
            if frames:
                _write_dicom_seg(job, frames, output)
        except UserError as error:
            problems.append(str(error))
    heading = f"{len(problems)} of {len(lacking)} DICOM Segmentations could not be written:"
    return [heading, *problems] if problems else []


def _write_dicom_seg(job: Job, frames: Mapping[int, Row], output: Path) -> None:
    from breast_ultrasound.scans import dicom_seg  # noqa: PLC0415  few ask for it

    first = next(iter(frames.values()))
    spacing = (first["mm_per_row"], first["mm_per_column"]) if first["mm_per_row"] else None
    masks = {number: read_grey(output / row["mask"]) > 0 for number, row in frames.items()}
    dicom_seg.write(job.segmentation, job.scan, masks, spacing, first["network"][:16])
