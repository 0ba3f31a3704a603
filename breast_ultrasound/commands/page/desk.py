"""The scans that were dropped on the page, segmented: in memory alone, and gone when the page ends."""

import io
import itertools
import secrets
import threading
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.findings.table import Row, finding_rows
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.output import Output
from breast_ultrasound.inference.segmentation import compute_output, interpret
from breast_ultrasound.pages.overlay import encode
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import read_scan
from breast_ultrasound.scans.scan import Frame


@dataclass(frozen=True)
class Limits:
    """What the page takes: bytes of a file, pixels of a frame, frames of a scan, and bytes of all that it holds."""

    file: int = 300 * 2**20
    pixels: int = 4096 * 4096
    frames: int = 2000
    held: int = 2 * 2**30


@dataclass(frozen=True)
class HeldFrame:
    """A frame and the network's output for it: the pixels as PNG in `picture`, and `frame` without them."""

    picture: bytes
    frame: Frame
    output: Output

    @property
    def weight(self) -> int:
        """Return the bytes that it takes."""
        return len(self.picture) + self.output.probability.nbytes


@dataclass(frozen=True)
class HeldScan:
    """A scan on the page."""

    name: str
    moves: bool
    frames: list[HeldFrame] = field(default_factory=list)


class Desk:
    """The scans on the page by their keys, which nobody can guess; several threads may use it at once."""

    def __init__(self, network: ExportedNetwork, limits: Limits, any_modality: bool) -> None:
        self.network = network
        self.limits = limits
        self.any_modality = any_modality
        self._scans: dict[str, HeldScan] = {}
        self._one_at_a_time = threading.Lock()

    def add(self, name: str, content: bytes) -> Iterator[dict[str, Any]]:
        """Segment a file frame by frame; yield its `key`, `name` and `length`, then a line for each frame.

        If the file or a frame cannot be read, the last line holds the `error`; the frames before it stay.
        """
        name = plain_name(name)
        try:
            scan = read_scan(io.BytesIO(content), name, self.any_modality, self.limits.pixels)
            held = HeldScan(name, scan.moves)
            key = ""
            for frame in self._each(scan.frames):
                if not key:
                    key = secrets.token_urlsafe(16)
                    self._scans[key] = held
                    yield {"key": key, "name": name, "length": min(scan.length, self.limits.frames)}
                if len(held.frames) == self.limits.frames:
                    raise UserError(f"{name}: only its first {self.limits.frames:,} frames are taken here.")
                held_frame = hold(frame, compute_output(frame, self.network))
                self._check_room(name, held_frame)
                held.frames.append(held_frame)
                yield self._line(held_frame)
        except UserError as error:
            yield {"error": str(error)}

    def _each(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        while True:
            with self._one_at_a_time:
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _check_room(self, name: str, added: HeldFrame) -> None:
        held = sum(frame.weight for scan in list(self._scans.values()) for frame in scan.frames)
        if held + added.weight > self.limits.held:
            raise UserError(f"{name}: the page holds as much as it may. Remove some scans first.")

    def _line(self, held: HeldFrame) -> dict[str, Any]:
        height, width = held.frame.whole.shape
        classes = zip(self.network.card.classes, map(float, held.output.class_probabilities), strict=True)
        return {"number": held.frame.number, "height": height, "width": width, "classes": dict(classes)}

    def remove(self, key: str) -> None:
        """Forget a scan, if it is there."""
        self._scans.pop(key, None)

    def frame(self, key: str, number: int) -> HeldFrame:
        """Return a frame of a scan, counted from 1; KeyError if it is missing."""
        frames = self._scans[key].frames
        if not 1 <= number <= len(frames):
            raise KeyError(number)
        return frames[number - 1]

    def segmented(self, held: HeldFrame, threshold: float) -> Segmented:
        """Return a frame segmented at a threshold; the other steps of post-processing are as they were fitted."""
        fitted = self.network.card.postprocessing
        postprocessing = replace(fitted, steps=replace(fitted.steps, threshold=threshold))
        return interpret(held.frame, held.output, postprocessing)

    def named(self, keys: Iterable[str]) -> Iterator[tuple[str, str, HeldFrame]]:
        """Yield the frames of scans, each with the names of its scan and its mask; equal names get a number."""
        taken: set[str] = set()
        for key in keys:
            scan = self._scans[key]
            stem = free = PurePosixPath(scan.name).stem
            for number in itertools.count(2):
                if free not in taken:
                    break
                free = f"{stem} ({number})"
            taken.add(free)
            job = Job(Path(scan.name), Path(f"{free}.png"))
            for held in scan.frames:
                mask = job.frame_mask(held.frame.number) if scan.moves else job.mask
                yield scan.name, mask.as_posix(), held

    def masks(self, keys: Iterable[str], threshold: float) -> Iterator[tuple[str, Mask]]:
        """Yield the masks of scans at a threshold, each with its name."""
        return ((mask, self.segmented(held, threshold).mask) for _, mask, held in self.named(keys))

    def rows(self, keys: Iterable[str], threshold: float) -> list[Row]:
        """Return the findings of scans, as `segment` writes them."""
        return [
            row
            for scan, mask, held in self.named(keys)
            for row in finding_rows(scan, mask, self.segmented(held, threshold), self.network.sha256)
        ]


def hold(frame: Frame, output: Output) -> HeldFrame:
    """Return a segmented frame as small as it can be held."""
    without_pixels = replace(frame, whole=np.broadcast_to(np.uint8(0), frame.whole.shape))
    return HeldFrame(encode(frame.whole, ".png"), without_pixels, output)


def plain_name(name: str) -> str:
    """Return the last part of a file's name, without characters that break a line or leave a folder.

    >>> plain_name("..\\\\a\\nb.png"), plain_name("")
    ('a b.png', 'scan')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in last)
    return printable.strip().lstrip(".")[:200] or "scan"


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files by name as one zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()
