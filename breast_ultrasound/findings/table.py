"""Findings as rows: one a lesion, and one a frame without any."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from breast_ultrasound.findings.lesions import Lesion
from breast_ultrasound.pipeline import files

Row = dict[str, Any]

_DIGITS = 4


@dataclass(frozen=True)
class Answer:
    """What a network said of a frame: its lesions, the highest probability of a pixel, its classes' probabilities, and
    the Dice that the mask can be expected to have.
    """

    lesions: Sequence[Lesion]
    peak_probability: float
    classes: Mapping[str, float]
    expected_dice: float


def rows_of(where: Mapping[str, Any], answer: Answer, network: str) -> list[Row]:
    """The rows of a frame. `where` says which one it is and begins each row; `network` is its file's SHA-256.

    A frame without a lesion has `lesion` 0, and of the lesion's columns only the peak probability, that of the frame.
    """
    blank = dict.fromkeys((field.name for field in fields(Lesion)), None)
    lesions = [asdict(lesion) for lesion in answer.lesions] or [blank | {"peak_probability": answer.peak_probability}]
    of_frame = {
        "class": max(answer.classes, key=lambda name: answer.classes[name], default=None),
        **{f"p_{name}": share for name, share in answer.classes.items()},
        "expected_dice": answer.expected_dice,
        "network": network,
    }
    first = 1 if answer.lesions else 0
    rows = [{**where, "lesion": number, **lesion, **of_frame} for number, lesion in enumerate(lesions, first)]
    return [{key: _short(value) for key, value in row.items()} for row in rows]


def _short(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV, what is not known empty; their columns may differ."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV."""
    path.write_text(as_csv(rows), encoding="utf-8", newline="")


def as_json(rows: Sequence[Row]) -> str:
    """Rows as a JSON list of objects, what is not known null."""
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write rows as JSON."""
    path.write_text(as_json(rows), encoding="utf-8")


def read_json(path: Path) -> list[Row]:
    """The rows that `write_json` wrote; none where there is no such file. ValueError where it holds something else."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of objects")
    return rows


def append(rows: Sequence[Row], path: Path) -> None:
    """Add rows to the end of a journal, one line of JSON for all of them. UserError where the disk is full."""
    files.append(path, (json.dumps(rows) + "\n").encode())


def read_journal(path: Path) -> list[Row]:
    """The rows that `append` wrote; none where there is no such file. Without those of a line that was cut off."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [row for line in lines if line.endswith("\n") for row in json.loads(line)]
