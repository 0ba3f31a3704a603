"""What the page holds in memory, and within which limits."""

import ctypes
import io
import platform
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from breast_ultrasound.cases.images import pixel_digest
from breast_ultrasound.inference.output import Output
from breast_ultrasound.pages.overlay import encode
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.scans.scan import Frame

_MASK_STEM = re.compile(r".*_mask(_\d+)?")


@dataclass(frozen=True)
class Limits:
    """What the page takes: bytes of a file, pixels of a frame, frames of a scan, and bytes of all that it holds.

    `idle` is for how many seconds an upload may send nothing.
    """

    file: int = 300 * 2**20
    # No scanner draws larger frames, and post-processing costs 1 s here and 15 s at four times the pixels.
    pixels: int = 2048 * 2048
    frames: int = 2000
    held: int = 2 * 2**30
    idle: float = 30


@dataclass(frozen=True, eq=False)
class Upload:
    """A file as it comes in; it counts as held for as long as it is in memory."""

    name: str
    content: io.BytesIO = field(default_factory=io.BytesIO)

    @property
    def weight(self) -> int:
        """Return the bytes that it takes."""
        return self.content.getbuffer().nbytes


@dataclass(frozen=True)
class HeldFrame:
    """A frame and the network's output for it: the pixels as PNG in `picture`, and `frame` without them.

    `pixels` is the digest of those that show tissue.
    """

    picture: bytes
    frame: Frame
    output: Output
    pixels: str

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


def hold(frame: Frame, output: Output) -> HeldFrame:
    """Return a segmented frame as small as it can be held."""
    without_pixels = replace(frame, whole=np.broadcast_to(np.uint8(0), frame.whole.shape))
    return HeldFrame(encode(frame.whole, ".png"), without_pixels, output, pixel_digest(frame.image))


def give_memory_back() -> None:
    """Give freed memory to the system; this has no effect without glibc, which keeps small pieces for each thread."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def is_mask(name: str, pixels: Grey) -> bool:
    """Return whether a picture, uint8 [height, width], is a mask: by the names of releases, or black and white alone.

    >>> grey = np.array([[0, 90], [180, 255]], np.uint8)
    >>> is_mask("a.png", grey), is_mask("a.png", np.where(grey > 90, 255, 0)), is_mask("benign (1)_mask_2.png", grey)
    (False, True, True)
    """
    return bool(_MASK_STEM.fullmatch(PurePosixPath(name).stem)) or not ((pixels > 1) & (pixels < 255)).any()


def plain_name(name: str) -> str:
    """Return the last part of a file's name, without characters that break a line or leave a folder.

    >>> plain_name("..\\\\a\\nb.png"), plain_name("")
    ('a b.png', 'scan')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in last)
    return printable.strip().lstrip(".")[:200] or "scan"
