"""Any scan, frame by frame: a picture, a DICOM object or a clip. Content decides which, not the name."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import cv2

from breast_ultrasound.cases import pictures
from breast_ultrasound.cases.images import eight_bits
from breast_ultrasound.cases.pictures import MOST_PIXELS, open_file, open_picture
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import clips
from breast_ultrasound.scans.dicom_file import starts_as_dicom
from breast_ultrasound.scans.scan import Frame, Scan

PICTURES = pictures.SUFFIXES
DICOM = {".dcm", ".dicom", ".ima"}
SUFFIXES = PICTURES | DICOM | clips.SUFFIXES

_ARCHIVES = {b"PK\3\4": "a zip", b"\x1f\x8b": "a gzip file", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a rar archive"}


@contextlib.contextmanager
def open_scan(path: Path, any_modality: bool = False) -> Iterator[Scan]:
    """Open a file as a scan; `any_modality` takes DICOM of other modalities than ultrasound, too.

    UserError, then or while its frames are read, where it is missing, damaged, of another kind, without a frame or too
    large. No message holds anything that a DICOM object says of a patient.
    """
    with open_file(path) as file:
        yield read_scan(file, str(path), any_modality)


def read_scan(file: BinaryIO, name: str, any_modality: bool = False, most_pixels: int = MOST_PIXELS) -> Scan:
    """Read the scan in an open file or in memory, which has to stay open while its frames are read; see `open_scan`.

    Errors call it `name`. A scan all of whose frames are of a single grey value is an error, too: it shows nothing, or
    was decoded wrongly.

    >>> import io
    >>> import numpy as np
    >>> encoded = cv2.imencode(".png", np.array([[0, 80], [160, 240]], np.uint8))[1].tobytes()
    >>> [frame.image.tolist() for frame in read_scan(io.BytesIO(encoded), "scan.png").frames]
    [[[0, 80], [160, 240]]]
    """
    start = file.read(132)
    file.seek(0)
    suffix = Path(name).suffix.lower()
    if starts_as_dicom(start) or (suffix in DICOM and not _archive(start)):
        # Takes a third of a second to load, which those with pictures needn't wait for.
        from breast_ultrasound.scans import dicom  # noqa: PLC0415

        scan = dicom.read_scan(file, name, any_modality, most_pixels)
    elif clips.is_clip(start[:12]) or suffix in clips.SUFFIXES:
        scan = clips.read_scan(file, name, most_pixels)
    elif archive := _archive(start):
        raise UserError(f"{name}: is {archive}. Unpack it, and give what it holds.")
    else:
        scan = _picture(file, name, most_pixels)
    return Scan(scan.length, scan.moves, scan.rate, _refuse_blank(scan, name), scan.notes)


def read_frames(path: Path, any_modality: bool = False) -> Iterator[Frame]:
    """Read the frames of a file, one after the other; see `open_scan`."""
    with open_scan(path, any_modality) as scan:
        yield from scan.frames


def is_dicom(path: Path) -> bool:
    """Return whether a file is there, can be read and begins as DICOM objects do."""
    try:
        with open_file(path) as file:
            return starts_as_dicom(file.read(132))
    except UserError:
        return False


def name_without_suffix(path: Path) -> str:
    """Return the name of a scan less its suffix; in names of numbers, as of DICOM files, the last dot starts none.

    >>> name_without_suffix(Path("left.png")), name_without_suffix(Path("1.2.840.1"))
    ('left', '1.2.840.1')
    """
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _archive(start: bytes) -> str | None:
    return next((name for signature, name in _ARCHIVES.items() if start.startswith(signature)), None)


def _picture(file: BinaryIO, name: str, most_pixels: int) -> Scan:
    picture = open_picture(file.read(), name, most_pixels)
    length = len(picture.header.pages)
    return Scan(length, length > 1, picture.header.rate, _pages(picture), [])


def _pages(picture: pictures.Picture) -> Iterator[Frame]:
    shape: tuple[int, ...] | None = None
    for number, pixels in enumerate(picture.pages(cv2.IMREAD_GRAYSCALE), start=1):
        if shape is not None and pixels.shape != shape:
            raise UserError(f"{picture.name}: page {number} has another size than those before. Save each as a file.")
        shape = pixels.shape
        yield Frame.without_region(eight_bits(pixels), number)


def _refuse_blank(scan: Scan, name: str) -> Iterator[Frame]:
    """Yield the frames of a scan; UserError where none of them has two grey values.

    A blank frame within a clip is none, since clips fade in and out.
    """
    is_blank = True
    for frame in scan.frames:
        is_blank = is_blank and bool((frame.image == frame.image[0, 0]).all())
        if is_blank and not scan.moves:
            break
        yield frame
    if is_blank:
        raise UserError(f"{name}: shows a single grey value, and nothing to segment. Export it again.")
