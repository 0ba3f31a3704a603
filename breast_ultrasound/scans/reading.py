"""Any scan, frame by frame: a picture (PNG, JPEG, BMP, TIFF), a DICOM object or a clip (AVI, MP4, MOV)."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import Image

from breast_ultrasound.cases.images import decode_bytes, eight_bits
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import clips
from breast_ultrasound.scans.scan import MOST_PIXELS, Frame, Scan, check_size

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
DICOM = {".dcm", ".dicom"}
SUFFIXES = PICTURES | DICOM | clips.SUFFIXES


def is_scan(path: Path) -> bool:
    """Whether a file is of a kind that is read here, by its name, or by its first bytes where the name has no suffix,
    as files of DICOM media have none.
    """
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as file:
        return _is_dicom(file)


@contextlib.contextmanager
def opened(path: Path, any_modality: bool = False) -> Iterator[Scan]:
    """Open a file as a scan; `any_modality` lets DICOM of other modalities than ultrasound through.

    UserError, then or while its frames are read, where it is missing, damaged, of another kind, without a frame or too
    large. No message holds anything that a DICOM object says of a patient.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    with file:
        yield scan_of(file, str(path), any_modality)


def scan_of(file: BinaryIO, name: str, any_modality: bool = False, most_pixels: int = MOST_PIXELS) -> Scan:
    """The scan in an open file or in memory, which has to stay open while its frames are read; see `opened`.

    Errors call it `name`, whose suffix tells the kind where the first bytes do not.
    """
    suffix = Path(name).suffix.lower()
    if suffix in DICOM or _is_dicom(file):
        # Takes a third of a second to load, which those with pictures needn't wait for.
        from breast_ultrasound.scans import dicom  # noqa: PLC0415

        return dicom.scan_of(file, name, any_modality, most_pixels)
    if suffix in clips.SUFFIXES:
        return clips.scan_of(file, name, most_pixels)
    return Scan(length=1, rate=None, frames=_picture(file, name, most_pixels))


def frames(path: Path, any_modality: bool = False) -> Iterator[Frame]:
    """The frames of a file, one after the other; see `opened`."""
    with opened(path, any_modality) as scan:
        yield from scan.frames


def is_dicom(path: Path) -> bool:
    """Whether a file is there and begins as DICOM objects do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _is_dicom(file)


def _is_dicom(file: BinaryIO) -> bool:
    start = file.read(132)
    file.seek(0)
    return start[128:] == b"DICM"


def _picture(file: BinaryIO, name: str, most_pixels: int) -> Iterator[Frame]:
    encoded = file.read()
    _check_header(encoded, name, most_pixels)
    yield Frame.of_whole(eight_bits(decode_bytes(encoded, name, cv2.IMREAD_GRAYSCALE)), number=1)


def _check_header(encoded: bytes, name: str, most_pixels: int) -> None:
    """UserError where a picture claims too many pixels. What Pillow does not know, OpenCV holds to 2^30 of them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG", "BMP", "TIFF")).size
    except Image.DecompressionBombError:
        # Beyond Pillow's own limit, which is above the one here.
        raise UserError(f"{name}: more than the {most_pixels:,} pixels that are read here. Make it smaller.") from None
    except Exception:
        # Pillow raises whatever the damage leads to; decoding will tell.
        return
    check_size(name, height, width, most_pixels)
