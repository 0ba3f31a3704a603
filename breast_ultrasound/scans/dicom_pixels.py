"""The pixels of DICOM objects as grey frames of 8 bits."""

import io
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets, parse_fragments
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGBaseline8Bit, JPEGLSTransferSyntaxes, RLELossless

from breast_ultrasound.cases.images import eight_bits
from breast_ultrasound.cases.pictures import check_size
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.scans.dicom_regions import numbers

_PALETTE = [
    f"{prefix}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for prefix, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
]

TAGS = [
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
    *_PALETTE,
]

# What a compressed frame begins with: JPEG and JPEG-LS, JPEG 2000 with and without its container.
_BEGINNINGS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")


def count_frames(data: Dataset) -> int:
    """Return how many frames the pixels hold, or how many the header claims where that is more.

    Objects whose header claims too few are common: the number is absent, empty, or left at 1 by a conversion.
    """
    claimed = int(next(iter(numbers(data, "NumberOfFrames")), 1))
    if claimed < 1:
        return claimed
    held = _count_compressed(data) if data.file_meta.TransferSyntaxUID.is_encapsulated else _count_native(data)
    return max(claimed, held)


def frames(data: Dataset, name: str, most_pixels: int) -> Iterator[Grey]:
    """Decode frame after frame as uint8 luminance [rows, columns]; anything is raised where they are damaged."""
    decoded = get_decoder(data.file_meta.TransferSyntaxUID).iter_array(data)
    to_grey = _Greys(data)
    for encoded in _encoded(data):
        _check_encoded(encoded, data, name, most_pixels)
        grey = to_grey(next(decoded)[0])
        if grey.shape != (data.Rows, data.Columns):
            raise ValueError
        yield grey


class _Greys:
    """Maps stored values of an object to uint8 luminance."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._photometric = data.get("PhotometricInterpretation")
        self._palette = _palette(data) if self._photometric == "PALETTE COLOR" else None

    def __call__(self, pixels: NDArray[Any]) -> Grey:
        """Map [rows, columns] or [rows, columns, 3] to [rows, columns].

        8 bits are taken as they are. More are mapped by the window of the object, or else by `eight_bits`.
        """
        pixels = _stored_bits(pixels, self._data)
        if self._palette is not None:
            pixels = self._palette[pixels]
        if pixels.ndim == 3:
            colours = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
            pixels = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))
        elif pixels.dtype != np.uint8:
            pixels = _windowed(pixels, self._data)
        grey = eight_bits(pixels)
        return 255 - grey if self._photometric == "MONOCHROME1" else grey


def _palette(data: Dataset) -> NDArray[np.uint8]:
    """Return the colours of all stored values, uint8 [values, 3].

    Of entries of 16 bits the upper 8 count, but where all of them are 0: these hold 8 (PS3.3 C.7.6.3.1.5, note).
    """
    colours = apply_color_lut(np.arange(1 << data.BitsAllocated, dtype=np.uint16)[None], data)[0, :, :3]
    if colours.dtype == np.uint16 and colours.max() > 255:
        colours = colours >> 8
    return colours.astype(np.uint8)


def _stored_bits(pixels: NDArray[Any], data: Dataset) -> NDArray[Any]:
    """Clear the bits above those that are stored, which once held overlays (PS3.5 8.1.1)."""
    unused = 8 * pixels.itemsize - int(data.BitsStored)
    if pixels.dtype.kind not in "iu" or unused <= 0:
        return pixels
    return (pixels << unused) >> unused


def _windowed(pixels: NDArray[Any], data: Dataset) -> NDArray[Any]:
    """Map stored values by the first window linearly to uint8 (PS3.3 C.11.2.1.2.1); as they are without a window."""
    window = [next(iter(numbers(data, key)), np.nan) for key in ("WindowCenter", "WindowWidth")]
    slope, intercept = numbers(data, "RescaleSlope") or (1.0,), numbers(data, "RescaleIntercept") or (0.0,)
    if not np.isfinite(window).all():
        return pixels
    centre, width = window
    values = pixels * (slope[0] or 1.0) + intercept[0]
    share = (values - (centre - 0.5)) / max(width - 1, 1) + 0.5
    return np.round(255 * share.clip(0, 1)).astype(np.uint8)


def _count_native(data: Dataset) -> int:
    samples = int(data.get("SamplesPerPixel") or 1)
    bits = int(data.Rows) * int(data.Columns) * samples * int(data.BitsAllocated)
    if data.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    return 8 * len(data.PixelData) // bits


def _count_compressed(data: Dataset) -> int:
    if data.get("ExtendedOffsetTable"):
        return len(data.ExtendedOffsetTable) // 8
    buffer = io.BytesIO(data.PixelData)
    offsets = parse_basic_offsets(buffer)
    if offsets:
        return len(offsets)
    if data.file_meta.TransferSyntaxUID == RLELossless:
        return parse_fragments(buffer)[0]
    return sum(fragment.startswith(_BEGINNINGS) for fragment in generate_fragments(buffer))


def _encoded(data: Dataset) -> Iterator[bytes]:
    """Yield the compressed frames of an object; as many empty ones where it is not compressed."""
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from [b""] * data.NumberOfFrames
        return
    offsets = data.get("ExtendedOffsetTable"), data.get("ExtendedOffsetTableLengths")
    tables = (offsets[0], offsets[1]) if offsets[0] and offsets[1] else None
    yield from generate_frames(data.PixelData, number_of_frames=data.NumberOfFrames, extended_offsets=tables)


def _check_encoded(encoded: bytes, data: Dataset, name: str, most_pixels: int) -> None:
    """Raise UserError where a frame is larger than its header claims, ValueError where a JPEG is damaged."""
    syntax = data.file_meta.TransferSyntaxUID
    if not encoded or syntax == RLELossless:
        return
    if syntax in JPEGLSTransferSyntaxes:
        height, width = _size_of_jpeg_ls(encoded)
    else:
        width, height = Image.open(io.BytesIO(encoded), formats=("JPEG", "JPEG2000")).size
    check_size(name, height, width, most_pixels)
    if (height, width) != (data.Rows, data.Columns):
        raise ValueError
    if syntax == JPEGBaseline8Bit:
        # Pillow goes on over damage and makes up what it cannot read.
        simplejpeg.decode_jpeg(encoded, "GRAY")


def _size_of_jpeg_ls(encoded: bytes) -> tuple[int, int]:
    """Return the height and width in the frame header of JPEG-LS (ISO 14495-1, C.2.2), which its decoder reads."""
    place = 2
    while encoded[place] == 0xFF:
        if encoded[place + 1] == 0xF7:
            return int.from_bytes(encoded[place + 5 : place + 7]), int.from_bytes(encoded[place + 7 : place + 9])
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4])
    raise ValueError
