"""DICOM objects, frame by frame.

Of the header only what pixels need is read, so that nothing that it says of a patient is ever held. Neither warnings
nor errors of pydicom are passed on, since they quote what they doubt.
"""

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.decoders.base import JPEGLosslessDecoder, JPEGLosslessSV1Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from breast_ultrasound.cases.pictures import check_size, open_file
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import dicom_pixels, lossless_jpeg
from breast_ultrasound.scans.dicom_regions import NUMBERS, find_region, frame_rate
from breast_ultrasound.scans.scan import Frame, Scan

_HEADER = ["SOPClassUID", "Modality", *NUMBERS]

# pydicom is silenced in all threads; two that begin and end between each other would undo it.
_SILENCE = threading.RLock()


def read_scan(file: BinaryIO, name: str, any_modality: bool, most_pixels: int) -> Scan:
    """Read the DICOM object in an open file or in memory; its frames are cut to the B-mode region where it has one.

    UserError, then or while its frames are read, where it is damaged, shows no ultrasound (unless `any_modality`), has
    no pixels, no frame or too large ones, or is compressed in a way that cannot be decoded. A note names what is left
    out of the frames.
    """
    with quote_nothing(name):
        _learn_lossless_jpeg()
        _check_syntax(file, name)
        data = dcmread(file, force=True, specific_tags=[*_HEADER, *dicom_pixels.TAGS])
        file.seek(0)
        if not any_modality and data.get("Modality") != "US":
            raise UserError(
                f"{name}: its modality is {_modality(data)}, not ultrasound (US). Give --any-modality to go on."
            )
        if "Rows" not in data or not data.get("PixelData"):
            raise UserError(f"{name}: this DICOM object holds no pixels. Give one that holds an image.")
        check_size(name, data.Rows, data.Columns, most_pixels)
        _complete(data)
        length = dicom_pixels.count_frames(data)
        if length < 1:
            raise UserError(f"{name}: this DICOM object holds 0 frames. Give one that holds an image.")
        data.NumberOfFrames = length
        region = find_region(data)
    notes = [f"{name}: {region.note}"] if region.note else []
    whole = dicom_pixels.frames(data, name, most_pixels)

    def frames() -> Iterator[Frame]:
        for number in range(1, length + 1):
            with quote_nothing(name):
                grey = next(whole)
            yield Frame(grey, number, region.place, region.mm_per_pixel)

    return Scan(length, length > 1, frame_rate(data) if length > 1 else None, frames(), notes)


def may_hold_pixels(path: Path) -> bool:
    """Return False for a sound DICOM object without pixels, such as a DICOMDIR, a report or a presentation state."""
    try:
        with quote_nothing(str(path)), open_file(path) as file:
            _check_syntax(file, str(path))
            data = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "Rows"])
            kind = UID(data.file_meta.get("MediaStorageSOPClassUID") or data.get("SOPClassUID") or "")
            # An image without rows is a damaged one.
            return "Rows" in data or not kind.is_valid or "Image" in kind.name
    except UserError:
        return True


@contextlib.contextmanager
def quote_nothing(name: str) -> Iterator[None]:
    """Raise a UserError that quotes nothing where pydicom raises anything; one thread at a time is let in."""
    logging.getLogger("pydicom").disabled = True
    try:
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception:
        raise UserError(f"{name}: not a readable DICOM object; it is damaged or of another kind. Replace it.") from None


def _check_syntax(file: BinaryIO, name: str) -> None:
    """Raise UserError where the pixels cannot be decoded, or where all of the file is deflated, which pydicom would
    inflate to whatever size.
    """
    read_preamble(file, force=True)
    # Files without a preamble begin with a tag of the meta information or of the identification.
    if int.from_bytes(file.read(2), "little") not in (0x0002, 0x0008):
        raise ValueError
    file.seek(-2, 1)
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != 2
    )
    file.seek(0)
    syntax = UID(meta.get("TransferSyntaxUID", ExplicitVRLittleEndian))
    label = syntax.name if syntax.is_transfer_syntax else "an unknown way"
    try:
        decodes = not syntax.is_deflated and get_decoder(syntax).is_available
    except NotImplementedError:
        decodes = False
    if not decodes:
        raise UserError(f"{name}: is compressed in a way that is not decoded here ({label}). Save it uncompressed.")


def _complete(data: Dataset) -> None:
    """Add the transfer syntax that files without meta information lack; pydicom has read their tags either way."""
    if not hasattr(data, "file_meta"):
        data.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in data.file_meta:
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _modality(data: Dataset) -> str:
    code = data.get("Modality")
    # A code by the standard; anything else may be somebody's name.
    return code if isinstance(code, str) and re.fullmatch("[A-Z]{2,8}", code) else "not given"


def _learn_lossless_jpeg() -> None:
    for decoder in (JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if lossless_jpeg.LABEL not in decoder.available_plugins:
            decoder.add_plugin(lossless_jpeg.LABEL, (lossless_jpeg.__name__, lossless_jpeg.decode.__name__))
