"""What the page holds: scans that were dropped on it, segmented. In memory alone, and gone when the page ends."""

import io
import itertools
import secrets
import threading
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers import answer as answers
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.findings.lesions import Lesion, find_lesions
from breast_ultrasound.findings.table import Answer, Row, rows_of
from breast_ultrasound.inference.exported import Network
from breast_ultrasound.pages.overlay import encode
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import scan_of
from breast_ultrasound.scans.scan import Frame


@dataclass(frozen=True)
class Limits:
    """What is taken: bytes of a file, pixels of a frame, frames of a scan, and bytes of all that is held."""

    file: int = 300 * 2**20
    pixels: int = 4096 * 4096
    frames: int = 2000
    held: int = 2 * 2**30


@dataclass(frozen=True)
class Seen:
    """A frame that was segmented, as small as it can be held.

    `picture` is the whole frame as PNG, `frame` the same without its pixels, `square` the lesion probability on the
    network's grid, and `classes` the probability of each class, [0] without a class head.
    """

    picture: bytes
    frame: Frame
    square: Grey
    classes: NDArray[np.float32]

    @property
    def probability(self) -> Grey:
        """The lesion probability of the part that was segmented, uint8 of its shape."""
        region = self.frame.region
        return Letterbox.fit(region.height, region.width, len(self.square)).image_out(self.square)

    @property
    def weight(self) -> int:
        """Bytes that it takes."""
        return len(self.picture) + self.square.nbytes


@dataclass(frozen=True)
class Held:
    """A scan on the page."""

    name: str
    moves: bool
    frames: list[Seen] = field(default_factory=list)


class Desk:
    """The scans on the page by their keys, which nobody can guess. May be used from several threads."""

    def __init__(self, network: Network, limits: Limits, any_modality: bool) -> None:
        self.network = network
        self.limits = limits
        self.any_modality = any_modality
        self._scans: dict[str, Held] = {}
        self._one_at_a_time = threading.Lock()

    def add(self, name: str, content: bytes) -> Iterator[dict[str, Any]]:
        """Segment a file frame by frame, telling what was found: `key`, `name` and `length` first, then each frame.

        A last line holds `error`, where the file or what follows in it cannot be read; the frames before it stay.
        """
        told = plain(name)
        try:
            scan = scan_of(io.BytesIO(content), told, self.any_modality, self.limits.pixels)
            held = Held(told, moves=scan.length > 1)
            key = ""
            for frame in self._each(scan.frames):
                if not key:
                    key = secrets.token_urlsafe(16)
                    self._scans[key] = held
                    yield {"key": key, "name": told, "length": min(scan.length, self.limits.frames)}
                if len(held.frames) == self.limits.frames:
                    raise UserError(f"{told}: only its first {self.limits.frames:,} frames are taken here.")
                seen = self._segmented(frame)
                self._check_room(told, seen)
                held.frames.append(seen)
                yield self._line(seen)
        except UserError as error:
            yield {"error": str(error)}

    def _each(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        while True:
            with self._one_at_a_time:
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _segmented(self, frame: Frame) -> Seen:
        box = Letterbox.fit(*frame.image.shape, size=self.network.card.size)
        square, classes = self.network.predict(box.image_in(frame.image))
        picture = encode(frame.whole, ".png")
        return Seen(picture, replace(frame, whole=np.broadcast_to(np.uint8(0), frame.whole.shape)), square, classes)

    def _check_room(self, name: str, seen: Seen) -> None:
        held = sum(frame.weight for scan in list(self._scans.values()) for frame in scan.frames)
        if held + seen.weight > self.limits.held:
            raise UserError(f"{name}: the page holds as much as it may. Remove some scans first.")

    def _line(self, seen: Seen) -> dict[str, Any]:
        height, width = seen.frame.whole.shape
        return {"number": seen.frame.number, "height": height, "width": width, "classes": self.classes(seen)}

    def remove(self, key: str) -> None:
        """Forget a scan; one that is not there is no error."""
        self._scans.pop(key, None)

    def frame(self, key: str, number: int) -> Seen:
        """A frame of a scan, counted from 1; KeyError where it is not there."""
        frames = self._scans[key].frames
        if not 1 <= number <= len(frames):
            raise KeyError(number)
        return frames[number - 1]

    def mask(self, seen: Seen, threshold: float) -> Mask:
        """The mask of the whole frame at a threshold; the other steps are as they were fitted."""
        return seen.frame.on_whole(self._judged(seen, threshold).mask)

    def _judged(self, seen: Seen, threshold: float) -> answers.Answer:
        fitted = self.network.card.fitted
        at_threshold = replace(fitted, steps=replace(fitted.steps, threshold=threshold))
        return at_threshold.judge(seen.probability, seen.classes)

    def lesions(self, seen: Seen, mask: Mask) -> list[Lesion]:
        """The lesions of a frame's mask."""
        return find_lesions(mask, seen.frame.on_whole(seen.probability), seen.frame.mm_per_pixel)

    def named(self, keys: Iterable[str]) -> Iterator[tuple[str, Seen]]:
        """The frames of scans, each with the name of its mask's file; of equal names the later ones are numbered."""
        taken: set[str] = set()
        for key in keys:
            scan = self._scans[key]
            stem = free = PurePosixPath(scan.name).stem
            for number in itertools.count(2):
                if free not in taken:
                    break
                free = f"{stem} ({number})"
            taken.add(free)
            for seen in scan.frames:
                yield f"{free}/{seen.frame.number:04}.png" if scan.moves else f"{free}.png", seen

    def rows(self, keys: Iterable[str], threshold: float) -> list[Row]:
        """The findings of scans, a row a lesion and one for each frame without any."""
        rows = []
        for name, seen in self.named(keys):
            height, width = seen.frame.whole.shape
            where = {"image": name, "frame": seen.frame.number, "height": height, "width": width}
            judged = self._judged(seen, threshold)
            lesions = self.lesions(seen, seen.frame.on_whole(judged.mask))
            answer = Answer(lesions, int(seen.square.max()) / 255, self.classes(seen), judged.dice)
            rows += rows_of(where, answer, self.network.sha256)
        return rows

    def classes(self, seen: Seen) -> dict[str, float]:
        """The probability of each class; none without a class head."""
        return dict(zip(self.network.card.classes, map(float, seen.classes), strict=True))


def plain(name: str) -> str:
    """The last part of a file's name without what could break a line or leave a folder."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in last)
    return shown.strip().lstrip(".")[:200] or "scan"


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files by name as one zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()
