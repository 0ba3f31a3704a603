"""Cine loops as video files: reading frame by frame, and writing."""

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.pictures import check_size
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans.scan import Frame, Scan

SUFFIXES = {".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg"}

# The first bytes of these kinds, by their offset. FFmpeg would take others as well, such as play lists that name
# further files.
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_SIGNATURES = {
    8: (b"AVI ",),
    4: _BOXES,
    0: (b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\x01\xba"),
}

# What an MKV or WebM consists of: its header and its segment.
_ELEMENTS = (b"\x1aE\xdf\xa3", b"\x18S\x80g")

# Keeps FFmpeg and OpenCV off stderr: damage is reported once, in words of this project.
_QUIET = {"OPENCV_FFMPEG_LOGLEVEL": "-8"}


def is_clip(start: bytes) -> bool:
    """Return whether the first twelve bytes of a file are those of a clip."""
    return any(start[offset:].startswith(signatures) for offset, signatures in _SIGNATURES.items())


def read_scan(file: BinaryIO, name: str, most_pixels: int) -> Scan:
    """Open the clip in a file or in memory; its frames lie as players show them, whatever the orientation tag.

    UserError, then or while its frames are read, where it is damaged, has no frame or too large ones. Where its
    container counts more frames than can be decoded, as after cutting without encoding anew, a note says so.
    """
    start = file.read(12)
    file.seek(0)
    capture = _open(file, name) if is_clip(start) else cv2.VideoCapture()
    if not capture.isOpened():
        raise UserError(
            f"{name}: not a readable video (AVI, MP4, MOV, MKV, WebM, WMV, MPEG); it is damaged or of another kind. "
            "Replace it."
        )
    if _is_cut_short(file):
        raise UserError(f"{name}: ends before the length that it claims; it is damaged. Replace it.")
    height, width = _number(capture, cv2.CAP_PROP_FRAME_HEIGHT), _number(capture, cv2.CAP_PROP_FRAME_WIDTH)
    check_size(name, height, width, most_pixels)
    rate = capture.get(cv2.CAP_PROP_FPS)
    notes: list[str] = []
    length = max(0, _number(capture, cv2.CAP_PROP_FRAME_COUNT))
    if start[8:] != b"AVI " and start[4:8] not in _BOXES:
        # Of other kinds OpenCV estimates it, by the rate or not at all.
        return Scan(max(1, length), True, rate if 1 <= rate <= 1000 else None, _frames(capture, name, 0, notes), notes)
    return Scan(length, True, rate if 1 <= rate <= 1000 else None, _frames(capture, name, length, notes), notes)


def write(target: Path, pictures: Iterable[NDArray[np.uint8]], rate: float) -> None:
    """Write RGB pictures uint8 [height, width, 3] of one size as a video of `rate` frames per second (.mp4, MPEG-4).

    The format holds even sizes alone; odd ones repeat their last row or column. UserError where the disk is full.
    """
    with atomic_write(target) as aside:
        count = _encode(aside, pictures, rate)
        # A full disk is no error to the encoder.
        written = cv2.VideoCapture(str(aside), cv2.CAP_FFMPEG)
        if written.get(cv2.CAP_PROP_FRAME_COUNT) < count:
            raise OSError("the video could not be written to its end")


def _encode(target: Path, pictures: Iterable[NDArray[np.uint8]], rate: float) -> int:
    writer = cv2.VideoWriter()
    count = 0
    for count, picture in enumerate(pictures, start=1):
        height, width = picture.shape[:2]
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if count == 1:
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            writer.open(str(target), cv2.CAP_FFMPEG, fourcc, rate, (even.shape[1], even.shape[0]))
        writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
    writer.release()
    return count


def _open(file: BinaryIO, name: str) -> cv2.VideoCapture:
    os.environ.update(_QUIET)
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        with _path(file, name) as path:
            return cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    except cv2.error:
        return cv2.VideoCapture()
    finally:
        cv2.utils.logging.setLogLevel(level)


@contextlib.contextmanager
def _path(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield a path to the content of a file, which stays in memory where it is. (On some streams OpenCV crashes.)

    The path is absolute, since FFmpeg takes `tcp:host:port.mp4` for an address.
    """
    if not isinstance(file, io.BytesIO):
        yield str(Path(file.name).absolute())
        return
    if not hasattr(os, "memfd_create"):
        raise UserError(f"{name}: clips in memory can be read on Linux alone. Give it to `uv run segment` as a file.")
    descriptor = os.memfd_create("clip")
    try:
        with open(descriptor, "wb", closefd=False) as copy:
            copy.write(file.getbuffer())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _is_cut_short(file: BinaryIO) -> bool:
    """Return whether an AVI, MP4, MOV, MKV or WebM claims more bytes than the file has."""
    end, place = file.seek(0, os.SEEK_END), 0
    while place + 8 <= end:
        file.seek(place)
        length = _chunk_length(file.read(16))
        if not length:
            break
        place += length
    file.seek(0)
    return place > end


def _chunk_length(head: bytes) -> int:
    """Return the bytes of the chunk of an AVI, the box of an MP4 or the element of an MKV that begins with `head`.

    It is 0 where it has no length, or is none of these.
    """
    if head.startswith(b"RIFF"):
        return 8 + int.from_bytes(head[4:8], "little")
    if head.startswith(_ELEMENTS):
        # RFC 8794, 4: the zeros before the first one say how many bytes follow; a length of ones is not known.
        count = 9 - head[4].bit_length()
        most = (1 << 7 * count) - 1
        length = int.from_bytes(head[4 : 4 + count]) & most
        return 4 + count + length if length < most else 0
    # A box of length 0 reaches to the end; one of length 1 has its length behind its name.
    length = int.from_bytes(head[:4]) if head[4:8].isalnum() else 0
    return int.from_bytes(head[8:]) if length == 1 else length


def _number(capture: cv2.VideoCapture, key: int) -> int:
    value = capture.get(key)
    return int(value) if np.isfinite(value) else 0


def _frames(capture: cv2.VideoCapture, name: str, length: int, notes: list[str]) -> Iterator[Frame]:
    number = 0
    shape: tuple[int, ...] | None = None
    while (image := _next(capture)) is not None:
        number += 1
        if shape is not None and image.shape != shape:
            raise UserError(f"{name}: frame {number} has another size than those before. Save it as several clips.")
        shape = image.shape
        yield Frame.without_region(image, number)
    if not number:
        raise UserError(f"{name}: holds no frame that can be decoded. Replace it.")
    if number < length:
        notes.append(f"{name}: {number} of the {length} frames that it counts can be decoded and are segmented.")


def _next(capture: cv2.VideoCapture) -> Grey | None:
    try:
        is_read, picture = capture.read()
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8) if is_read else None
    except cv2.error:
        return None
