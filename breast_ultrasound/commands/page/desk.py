"""The scans that were dropped on the page, segmented: in memory alone, and gone when the page ends."""

import itertools
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from breast_ultrasound.commands.page.case_folder import CaseFolder
from breast_ultrasound.commands.page.holding import (
    HeldFrame,
    HeldScan,
    Limits,
    Upload,
    give_memory_back,
    hold,
    is_mask,
    plain_name,
)
from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.findings.table import Row, finding_rows
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.output import FARTHEST
from breast_ultrasound.inference.segmentation import compute_output, interpret
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import name_without_suffix, read_scan
from breast_ultrasound.scans.scan import Frame


class OutdatedError(Exception):
    """A question that nobody waits for any more."""


@dataclass(frozen=True)
class NamedFrame:
    """A frame with the names of its scan, its image and its mask; the latter two are no other frame's."""

    scan: str
    image: str
    mask: str
    held: HeldFrame


class Desk:
    """The scans on the page by their keys, which nobody can guess; several threads may use it at once.

    `cases` are what was kept of scans, None where nothing is to be kept.
    """

    def __init__(self, network: ExportedNetwork, limits: Limits, cases: CaseFolder | None = None) -> None:
        self.network = network
        self.limits = limits
        self.cases = cases
        self._scans: dict[str, HeldScan] = {}
        self._uploads: weakref.WeakSet[Upload] = weakref.WeakSet()
        self._newest: dict[tuple[str, int], object] = {}
        self._counting, self._reading, self._answering = threading.Lock(), threading.Lock(), threading.Lock()

    def begin(self, name: str) -> Upload:
        """Return an upload that holds nothing yet."""
        upload = Upload(plain_name(name))
        with self._counting:
            self._uploads.add(upload)
        return upload

    def receive(self, upload: Upload, chunk: bytes) -> None:
        """Add to an upload; UserError if the page has no room for it."""
        self._check_room(upload.name, len(chunk))
        upload.content.write(chunk)

    def add(self, upload: Upload, any_modality: bool) -> Iterator[dict[str, Any]]:
        """Segment a file frame by frame; yield its `key`, `name` and `length`, then a line for each frame.

        A `note` for the user follows on what was left out. If the file or a frame cannot be read, the last line holds
        the `error`; the frames before it stay. The only line of a mask names it as `mask`. A scan that is removed, or
        whose lines nobody reads any more, is not segmented further.
        """
        key = secrets.token_urlsafe(16)
        try:
            yield from self._segment(upload, key, any_modality)
        except UserError as error:
            # The message names an option of the command line, which is a box to tick here.
            yield {"error": str(error).replace("Give --any-modality", "Tick “other modalities”, drop it again")}
        except GeneratorExit:
            self.remove(key)
            raise

    def _segment(self, upload: Upload, key: str, any_modality: bool) -> Iterator[dict[str, Any]]:
        name = upload.name
        upload.content.seek(0)
        scan = read_scan(upload.content, name, any_modality, self.limits.pixels)
        held = HeldScan(name, scan.moves)
        for frame in self._each(scan.frames):
            if not held.frames:
                if not scan.moves and is_mask(name, frame.whole):
                    yield {"mask": name}
                    return
                self._scans[key] = held
                yield {"key": key, "name": name, "length": min(scan.length, self.limits.frames)}
            if key not in self._scans:
                return
            if len(held.frames) == self.limits.frames:
                raise UserError(f"{name}: only its first {self.limits.frames:,} frames are taken here.")
            held_frame = hold(frame, compute_output(frame, self.network))
            self._check_room(name, held_frame.weight)
            held.frames.append(held_frame)
            yield self._line(held_frame)
        yield from ({"note": note} for note in scan.notes)

    def _each(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        while True:
            with self._reading:
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _check_room(self, name: str, added: int) -> None:
        with self._counting:
            uploads = sum(upload.weight for upload in self._uploads)
        held = sum(frame.weight for scan in list(self._scans.values()) for frame in scan.frames)
        if uploads + held + added > self.limits.held:
            raise UserError(f"{name}: the page holds as much as it may. Remove some scans first.")

    def _line(self, held: HeldFrame) -> dict[str, Any]:
        segmented = self.segmented(held, self.network.card.postprocessing.steps.threshold)
        height, width = segmented.mask.shape
        return {
            "number": segmented.number,
            "height": height,
            "width": width,
            "classes": segmented.class_probabilities,
            "lesions": len(segmented.lesions),
            "image_probability": segmented.image_probability,
            "predicted_dice": segmented.predicted_dice,
            "feature_distance": segmented.feature_distance,
            "is_unlike": (segmented.feature_distance or 0) > FARTHEST,
            "pixels": held.pixels,
            "region": asdict(held.frame.region),
            "kept": self.cases.verdict(held.pixels) if self.cases else None,
        }

    def remove(self, key: str) -> None:
        """Forget a scan, if it is there."""
        self._scans.pop(key, None)
        give_memory_back()

    def scan(self, key: str) -> HeldScan:
        """Return a scan; KeyError if it is missing."""
        return self._scans[key]

    def frame(self, key: str, number: int) -> HeldFrame:
        """Return a frame of a scan, counted from 1; KeyError if it is missing."""
        frames = self.scan(key).frames
        if not 1 <= number <= len(frames):
            raise KeyError(number)
        return frames[number - 1]

    def segmented(self, held: HeldFrame, threshold: float) -> Segmented:
        """Return a frame segmented at a threshold; the other steps of post-processing are as they were fitted."""
        fitted = self.network.card.postprocessing
        postprocessing = replace(fitted, steps=replace(fitted.steps, threshold=threshold))
        return interpret(held.frame, held.output, postprocessing)

    def answer(self, key: str, number: int, threshold: float, is_awaited: Callable[[], bool]) -> Segmented:
        """Return a frame segmented at a threshold, one question after the other.

        OutdatedError if, when its turn comes, the same frame was asked for again or nobody waits for the answer.
        """
        held, question = self.frame(key, number), object()
        self._newest[key, number] = question
        with self._answering:
            if self._newest.get((key, number)) is not question:
                raise OutdatedError
            try:
                if not is_awaited():
                    raise OutdatedError
                return self.segmented(held, threshold)
            finally:
                if self._newest.get((key, number)) is question:
                    del self._newest[key, number]

    def named(self, keys: Iterable[str]) -> Iterator[NamedFrame]:
        """Yield the frames of scans with their names; KeyError if a scan is missing, or is removed in the meantime."""
        taken: set[str] = set()
        for key in keys:
            scan = self._scans[key]
            stem = free = name_without_suffix(Path(scan.name))
            for number in itertools.count(2):
                if free not in taken:
                    break
                free = f"{stem} ({number})"
            taken.add(free)
            job = Job(Path(scan.name), Path(free))
            for held in scan.frames:
                if key not in self._scans:
                    raise KeyError(key)
                mask = (job.frame_mask(held.frame.number) if scan.moves else job.mask).as_posix()
                yield NamedFrame(scan.name, mask if scan.moves else free + scan.name.removeprefix(stem), mask, held)

    def rows(self, frames: Iterable[NamedFrame], threshold: float) -> list[Row]:
        """Return the findings of frames, as `segment` writes them."""
        given = None if threshold == self.network.card.postprocessing.steps.threshold else threshold
        return [
            row
            for frame in frames
            for row in finding_rows(
                frame.scan, frame.mask, self.segmented(frame.held, threshold), self.network.sha256, given
            )
        ]
