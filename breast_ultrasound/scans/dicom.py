"""DICOM objects, frame by frame.

Of the header only what pixels need is read, so that nothing that it says of a patient is ever held; and as pydicom
quotes what it doubts, neither its warnings nor its errors are passed on.
"""

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.decoders.base import JPEGLosslessDecoder, JPEGLosslessSV1Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID

from breast_ultrasound.cases.images import eight_bits
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import lossless_jpeg
from breast_ultrasound.scans.scan import Frame, Region, Scan, check_size

_PALETTE = [
    f"{prefix}{colour}PaletteColorLookupTable{what}"
    for colour in ("Red", "Green", "Blue")
    for prefix, what in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
]

# Everything that is read.
_TAGS = [
    "SOPClassUID",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "SequenceOfUltrasoundRegions",
    "PixelSpacing",
    "FrameTime",
    "CineRate",
    *_PALETTE,
]

# PS3.3 C.8.5.5.1: spatial format and data type of a region, and unit of its pixels.
_TWO_DIMENSIONS = 1
_TISSUE = 1
_CENTIMETRES = 3

# What silences pydicom does so in all threads, and two that begin and end between each other would undo it.
_SILENCE = threading.RLock()


def scan_of(file: BinaryIO, name: str, any_modality: bool, most_pixels: int) -> Scan:
    """The DICOM object in an open file or in memory; its frames are cut to the B-mode region where it is told.

    UserError, then or while its frames are read, where it is damaged, shows no ultrasound (unless `any_modality`), has
    no pixels, no frame or too large ones, or is compressed in a way that cannot be decoded.
    """
    with damage_told(name):
        _learn_lossless_jpeg()
        _check_syntax(file, name)
        header = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        # Reading stopped before the pixels, if there are any.
        has_pixels = "Rows" in header and bool(file.read(1))
        file.seek(0)
        if not any_modality and header.get("Modality") != "US":
            raise UserError(
                f"{name}: its modality is {_modality(header)}, not ultrasound (US). Give --any-modality to go on."
            )
        if not has_pixels:
            raise UserError(f"{name}: this DICOM object holds no pixels. Give one that holds an image.")
        check_size(name, header.Rows, header.Columns, most_pixels)
        length = 1 if header.get("NumberOfFrames") is None else int(header.NumberOfFrames)
        if length < 1:
            raise UserError(f"{name}: this DICOM object holds 0 frames. Give one that holds an image.")
        region, mm_per_pixel = _region(header)
        rate = _rate(header) if length > 1 else None
    return Scan(length, rate, _frames(file, name, header, length, region, mm_per_pixel))


@contextlib.contextmanager
def damage_told(name: str) -> Iterator[None]:
    """Make what pydicom raises, which is anything, a UserError that quotes nothing; one thread at a time is let in."""
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
    """UserError where the pixels cannot be decoded, or where all of the file is deflated, which pydicom would inflate
    to whatever size.
    """
    read_preamble(file, force=False)
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != 2
    )
    file.seek(0)
    syntax = UID(meta.TransferSyntaxUID)
    called = syntax.name if syntax.is_transfer_syntax else "an unknown way"
    try:
        decodes = not syntax.is_deflated and get_decoder(syntax).is_available
    except NotImplementedError:
        decodes = False
    if not decodes:
        raise UserError(f"{name}: is compressed in a way that is not decoded here ({called}). Save it uncompressed.")


def _modality(header: Dataset) -> str:
    code = header.get("Modality")
    # A code by the standard; anything else may be somebody's name.
    return code if isinstance(code, str) and re.fullmatch("[A-Z]{2,8}", code) else "not told"


def _region(header: Dataset) -> tuple[Region, tuple[float, float] | None]:
    """The largest region that shows tissue, and the millimetres between its rows and its columns.

    All of the frame where there is none. Regions that reach beyond the frame are those of an image of another size,
    which was cut or scaled since: neither they nor their millimetres are believed.
    """
    rows, columns = header.Rows, header.Columns
    whole = Region(0, 0, rows, columns)
    told = [
        item
        for item in header.get("SequenceOfUltrasoundRegions") or []
        if item.get("RegionSpatialFormat") == _TWO_DIMENSIONS and item.get("RegionDataType") == _TISSUE
    ]
    # The last row and column are part of a region, but some scanners name the first ones after it.
    if any(item.RegionLocationMaxX1 > columns or item.RegionLocationMaxY1 > rows for item in told):
        return whole, None
    found = [(region, item) for item in told if (region := _cut(item, rows, columns))]
    if not found:
        return whole, _spacing(header)
    region, item = max(found, key=lambda pair: pair[0].height * pair[0].width)
    return region, _millimetres(item)


def _cut(item: Dataset, rows: int, columns: int) -> Region | None:
    top, left = max(0, item.RegionLocationMinY0), max(0, item.RegionLocationMinX0)
    bottom, right = min(rows, item.RegionLocationMaxY1 + 1), min(columns, item.RegionLocationMaxX1 + 1)
    return Region(top, left, bottom - top, right - left) if top < bottom and left < right else None


def _millimetres(item: Dataset) -> tuple[float, float] | None:
    if item.get("PhysicalUnitsXDirection") != _CENTIMETRES or item.get("PhysicalUnitsYDirection") != _CENTIMETRES:
        return None
    # A negative delta tells the direction.
    return _lengths(*(10 * abs(item.get(key) or 0.0) for key in ("PhysicalDeltaY", "PhysicalDeltaX")))


def _spacing(header: Dataset) -> tuple[float, float] | None:
    return _lengths(*map(float, header.get("PixelSpacing") or ()))


def _lengths(*values: float) -> tuple[float, float] | None:
    """Two lengths, where they are two and can be lengths."""
    match values:
        case (down, across) if 0 < down < np.inf and 0 < across < np.inf:
            return down, across
    return None


def _rate(header: Dataset) -> float | None:
    milliseconds, rate = float(header.get("FrameTime") or 0), float(header.get("CineRate") or 0)
    rate = 1000 / milliseconds if milliseconds > 0 else rate
    return rate if 1 <= rate <= 1000 else None


def _frames(
    file: BinaryIO,
    name: str,
    header: Dataset,
    length: int,
    region: Region,
    mm_per_pixel: tuple[float, float] | None,
) -> Iterator[Frame]:
    decoded = iter_pixels(file)
    for number in range(1, length + 1):
        with damage_told(name):
            whole = _grey(next(decoded), header)
            if whole.shape != (header.Rows, header.Columns):
                raise ValueError
        yield Frame(whole, number, region, mm_per_pixel)


def _grey(pixels: NDArray[Any], header: Dataset) -> Grey:
    """Stored values [height, width] or [height, width, 3] as uint8 luminance [height, width].

    8 bits are taken as they are. More are mapped by the window that the file gives, or else as `eight_bits` has it.
    """
    photometric = header.get("PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 3:
        colours = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
        pixels = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))
    elif pixels.dtype != np.uint8 and "WindowCenter" in header and "WindowWidth" in header:
        pixels = _windowed(pixels, header)
    grey = eight_bits(pixels)
    return 255 - grey if photometric == "MONOCHROME1" else grey


def _windowed(pixels: NDArray[Any], header: Dataset) -> Grey:
    """Map stored values by the first window linearly to uint8 (PS3.3 C.11.2.1.2.1)."""
    centre, width = (float(np.atleast_1d(header[key].value)[0]) for key in ("WindowCenter", "WindowWidth"))
    values = pixels * float(header.get("RescaleSlope") or 1) + float(header.get("RescaleIntercept") or 0)
    share = (values - (centre - 0.5)) / max(width - 1, 1) + 0.5
    return np.round(255 * share.clip(0, 1)).astype(np.uint8)


def _learn_lossless_jpeg() -> None:
    for decoder in (JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if lossless_jpeg.LABEL not in decoder.available_plugins:
            decoder.add_plugin(lossless_jpeg.LABEL, (lossless_jpeg.__name__, lossless_jpeg.decode.__name__))
