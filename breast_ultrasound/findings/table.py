"""Findings as rows of a table: one for each lesion, and one for each frame without a lesion."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from breast_ultrasound.findings.lesions import Lesion
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.pipeline import files

Row = dict[str, Any]

_DIGITS = 4
# Begins what spreadsheets compute.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NO_LESION = dict.fromkeys((field.name for field in fields(Lesion)), None)


def finding_rows(
    image: str, mask: str, segmented: Segmented, network: str, threshold: float | None = None
) -> list[Row]:
    """Return the rows of a frame: one for each lesion, numbered from 1, or one whose `lesion` is 0.

    `image` and `mask` name the files of the scan and of the frame's mask, `network` is the SHA-256 of the network's
    file, and `threshold` the one that was given in place of the fitted one. Of a frame without a lesion the columns of
    a lesion are None but for `peak_probability`, which is the frame's.
    """
    height, width = segmented.mask.shape
    mm_per_row, mm_per_column = segmented.mm_per_pixel or (None, None)
    shares = segmented.class_probabilities
    frame = {
        "image": image,
        "frame": segmented.number,
        "height": height,
        "width": width,
        "mm_per_row": mm_per_row,
        "mm_per_column": mm_per_column,
        "mask": mask,
    }
    judgement = {
        "class": max(shares, key=lambda name: shares[name], default=None),
        **{f"p_{name}": share for name, share in shares.items()},
        "predicted_dice": segmented.predicted_dice,
        "feature_distance": segmented.feature_distance,
        "threshold": threshold,
        "network": network,
    }
    lesions = [{"lesion": number, **asdict(lesion)} for number, lesion in enumerate(segmented.lesions, 1)]
    lesions = lesions or [{"lesion": 0, **_NO_LESION, "peak_probability": segmented.peak_probability}]
    return [{name: _rounded(value) for name, value in (frame | lesion | judgement).items()} for lesion in lesions]


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value


def as_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV, None as an empty cell; their columns may differ.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, by which it stays text.

    >>> as_csv([{"image": "=1+1.png", "area": -1}])
    "image,area\\r\\n'=1+1.png,-1\\r\\n"
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)))
    writer.writeheader()
    writer.writerows({column: _cell(value) for column, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV."""
    path.write_text(as_csv(rows), encoding="utf-8", newline="")


def as_json(rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects, None as null."""
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write rows as JSON."""
    path.write_text(as_json(rows), encoding="utf-8")


def read_json(path: Path) -> list[Row]:
    """Return the rows that `write_json` wrote, none if the file is missing. ValueError if it holds something else."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of objects")
    return rows


def append(rows: Sequence[Row], path: Path) -> None:
    """Add rows to the end of a journal, one line of JSON for all of them. UserError if the disk is full."""
    files.append(path, (json.dumps(rows) + "\n").encode())


def read_journal(path: Path) -> list[Row]:
    """Return the rows that `append` wrote, none if the file is missing; a line that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [row for line in lines if line.endswith("\n") for row in json.loads(line)]
