"""The folder of `page --save`: a case table of the frames that a person has judged, with the network's answer beside.

    cases.csv              a row a case; `data.sources: [folder]` takes it
    images/<id>.png        the part of the frame that shows tissue, without anything else of its file
    masks/<id>-<digest>.png      the mask that was kept; a normal image has none
    network/<id>-<digest>.png    the mask of the network, at the fitted threshold

The table alone says what is kept. Masks are written before it under names that hold a digest of their pixels, so that
none replaces one that the table names, and the table is replaced as a whole: whenever the command is killed, the folder
holds every case as it was kept last.
"""

import csv
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from breast_ultrasound.cases.classes import LABELS
from breast_ultrasound.cases.ids import case_id_of
from breast_ultrasound.cases.images import pixel_digest, read_mask
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.pages.overlay import encode
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans.scan import Frame

TABLE = "cases.csv"
ACCEPTED, CORRECTED = "accepted", "corrected"

_DIGITS = 4
# The pipeline takes no mask that covers more.
_MOST_COVERED = 0.98
# A mask that `keep` has named, and may remove.
_OWN = re.compile(r"(masks|network)/[^/]*-[0-9a-f]{8}\.png")

Row = dict[str, str]


@dataclass(frozen=True)
class Judgement:
    """The verdict of a person on a frame, with the network's answer.

    `name` is that of the file, without its suffix; `scan` is the one for all frames of a clip, empty for a still.
    `mask` is bool of the whole frame, `cls` one of LABELS, `network` the SHA-256 of the network's file.
    """

    name: str
    scan: str
    frame: Frame
    mask: Mask
    cls: str
    answer: Segmented
    network: str

    @property
    def problem(self) -> str | None:
        """Return why no case can be made of it; None where one can."""
        if self.cls not in LABELS:
            return f"The class {self.cls!r} is none of {', '.join(LABELS)}."
        if self.mask.sum() != self.frame.cut(self.mask).sum():
            return "The mask reaches beyond the part of the image that shows tissue."
        if self.frame.cut(self.mask).mean() > _MOST_COVERED:
            return "The mask covers all of the image. Erase what is no lesion."
        if self.cls == "normal" and self.mask.any():
            return "A normal image has no lesion. Choose another class, or delete what is marked."
        if self.cls != "normal" and not self.mask.any():
            return f"No lesion is marked, but the class is {self.cls}. Draw it, or choose normal."
        return None


class CaseFolder:
    """The cases of a folder, by the digest of their pixels; several threads may use it at once.

    UserError if the folder holds anything that the page has not written, or lacks a picture that its table names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows = {row["pixels"]: row for row in _read(folder)}
        self._keeping = threading.Lock()

    @property
    def count(self) -> int:
        """Return how many cases the folder holds."""
        return len(self._rows)

    def verdict(self, pixels: str) -> Row | None:
        """Return `class` and `verdict` of an image by the digest of its pixels; None where it was not kept."""
        row = self._rows.get(pixels)
        return {"class": row["class"], "verdict": row["verdict"]} if row else None

    def mask(self, pixels: str, frame: Frame) -> Mask:
        """Return the mask that was kept, bool of the whole frame; KeyError where it was not."""
        names = _names(self._rows[pixels]["masks"])
        masks = [read_mask(self.folder / name) for name in names] or [np.zeros(frame.image.shape, bool)]
        return frame.to_whole(np.logical_or.reduce(masks))

    def keep(self, judgement: Judgement) -> Row:
        """Write a case, or write it anew where its image was kept before; return its row.

        Columns that a person has added stay. UserError where `problem` names one, or the disk is full or read-only.
        """
        if judgement.problem:
            raise UserError(judgement.problem)
        pixels = pixel_digest(judgement.frame.image)
        with self._keeping:
            if not self._rows:
                # Marks the folder as the page's own, should the command be killed before the first row.
                self._write_table([])
            before = self._rows.get(pixels) or self._first(judgement)
            row = before | self._written(before["id"], judgement) | {"pixels": pixels}
            rows = self._rows | {pixels: row}
            self._write_table(list(rows.values()))
            self._rows = rows
            for name in set(_pictures(before)) - set(_pictures(row)):
                if _OWN.fullmatch(name):
                    (self.folder / name).unlink(missing_ok=True)
            return row

    def _first(self, judgement: Judgement) -> Row:
        """Return the columns of a new case that stay when it is kept again, since a person may change them."""
        side = judgement.frame.mm_per_square_pixel
        return {
            "id": self._free(case_id_of(judgement.name)),
            "patient": case_id_of(judgement.scan) if judgement.scan else "",
            "mm_per_pixel": f"{side:.6g}" if side else "",
        }

    def _free(self, case_id: str) -> str:
        taken = {row["id"].casefold() for row in self._rows.values()}
        names = (case_id if number == 1 else f"{case_id} ({number})" for number in range(1, len(taken) + 2))
        return next(name for name in names if name.casefold() not in taken)

    def _written(self, case_id: str, judgement: Judgement) -> Row:
        """Write the pictures of a case, and return the columns that follow from it."""
        frame, answer = judgement.frame, judgement.answer
        mask, by_network = frame.cut(judgement.mask), frame.cut(answer.mask)
        shares = answer.class_probabilities
        return {
            "image": self._write(f"images/{case_id}.png", frame.image),
            "masks": self._write_mask("masks", case_id, mask) if mask.any() else "",
            "class": judgement.cls,
            "verdict": ACCEPTED if (mask == by_network).all() else CORRECTED,
            "network_mask": self._write_mask("network", case_id, by_network),
            "network_class": max(shares, key=lambda name: shares[name], default=""),
            **{f"p_{name}": f"{share:.{_DIGITS}f}" for name, share in shares.items()},
            "predicted_dice": f"{answer.predicted_dice:.{_DIGITS}f}",
            "network": judgement.network,
        }

    def _write_mask(self, part: str, case_id: str, mask: Mask) -> str:
        return self._write(f"{part}/{case_id}-{pixel_digest(mask)[:8]}.png", mask.astype(np.uint8) * np.uint8(255))

    def _write(self, name: str, pixels: Grey) -> str:
        with atomic_write(self.folder / name) as aside:
            aside.write_bytes(encode(pixels, ".png"))
        return name

    def _write_table(self, rows: list[Row]) -> None:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (
            atomic_write(self.folder / TABLE) as aside,
            aside.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


def _read(folder: Path) -> Iterator[Row]:
    """Yield the rows of the table in a folder, none where there is no table."""
    table = folder / TABLE
    if not table.exists():
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise UserError(f"{folder}: holds files that the page has not written. Give a new folder with --save.")
        return
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read ({error}). Mend it, or give another folder with --save.") from error
    if any(not row.get("pixels") or None in row for row in rows):
        raise UserError(f"{table}: is a table that the page has not written. Give another folder with --save.")
    missing = [name for row in rows for name in _pictures(row) if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"{table}: names files that are missing: {', '.join(missing)}. Put them back, or remove their lines."
        )
    yield from rows


def _pictures(row: Row) -> list[str]:
    """Return the files that a row names."""
    return [name for column in ("image", "masks", "network_mask") for name in _names(row.get(column, ""))]


def _names(cell: str) -> list[str]:
    return [name for name in cell.split(";") if name]
