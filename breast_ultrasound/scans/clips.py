"""Cine loops as video files: reading frame by frame, and writing."""

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.scans.scan import Frame, Scan, check_size

SUFFIXES = {".avi", ".mp4", ".mov"}

# What a file of these kinds starts with, after as many bytes. FFmpeg would take others as well, such as play lists
# that name further files.
_STARTS = {8: (b"AVI ",), 4: (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")}

# FFmpeg and OpenCV say nothing on stderr: what is wrong with a file is told once, in words of this project.
_QUIET = {"OPENCV_FFMPEG_LOGLEVEL": "-8"}

# A clip that lost more than this share of its frames is damaged; fewer may be counted wrongly.
_LOST = 0.05


def scan_of(file: BinaryIO, name: str, most_pixels: int) -> Scan:
    """The clip in an open file or in memory; its frames lie as players show them, whatever the orientation tag.

    UserError, then or while its frames are read, where it is damaged, has no frame or too large ones.
    """
    start = file.read(12)
    file.seek(0)
    if not any(start[skipped:].startswith(known) for skipped, known in _STARTS.items()):
        raise _not_readable(name)
    capture = _open(file, name)
    if not capture.isOpened():
        raise _not_readable(name)
    check_size(
        name, _number(capture, cv2.CAP_PROP_FRAME_HEIGHT), _number(capture, cv2.CAP_PROP_FRAME_WIDTH), most_pixels
    )
    claimed = max(0, _number(capture, cv2.CAP_PROP_FRAME_COUNT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    return Scan(claimed, rate if 1 <= rate <= 1000 else None, _frames(capture, name, claimed))


def write(target: Path, pictures: Iterable[NDArray[np.uint8]], rate: float) -> None:
    """Write RGB pictures uint8 [height, width, 3] of one size as a video of `rate` frames per second (.mp4, MPEG-4).

    The format knows even sizes alone; odd ones repeat their last row or column. UserError where the disk is full.
    """
    with written_aside(target) as aside:
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
    """A path to what is in a file; what is in memory stays there. (OpenCV reads streams, too, but crashes on some.)"""
    if not isinstance(file, io.BytesIO):
        yield file.name
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


def _number(capture: cv2.VideoCapture, key: int) -> int:
    value = capture.get(key)
    return int(value) if np.isfinite(value) else 0


def _frames(capture: cv2.VideoCapture, name: str, claimed: int) -> Iterator[Frame]:
    number = 0
    shape: Any = None
    while (read := _next(capture)) is not None:
        number += 1
        if shape is not None and read.shape != shape:
            raise UserError(f"{name}: frame {number} has another size than those before. Save it as several clips.")
        shape = read.shape
        yield Frame.of_whole(read, number)
    if not number:
        raise UserError(f"{name}: holds no frame that can be decoded. Replace it.")
    if number < claimed * (1 - _LOST) - 1:
        raise UserError(f"{name}: ends after {number} of {claimed} frames; it is damaged. Replace it.")


def _next(capture: cv2.VideoCapture) -> NDArray[np.uint8] | None:
    try:
        found, picture = capture.read()
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8) if found else None
    except cv2.error:
        return None


def _not_readable(name: str) -> UserError:
    return UserError(f"{name}: not a readable video (AVI, MP4, MOV); it is damaged or of another kind. Replace it.")
