"""The headers of pictures: their kind, and the size of each page before any pixel is decoded.

What is read here is what the decoder reads, so that no picture is larger in memory than its header says.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import simplejpeg
from PIL import Image

# By the bytes that files begin with. Kinds that are not listed are not decoded.
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
}

# TIFF 6.0, sections 8 and 15, by tag.
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT = 254, 256, 257, 262, 322, 323
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
# Bits of the subfile type: a smaller copy of another page, a transparency mask.
_NO_PAGE = 0b101


@dataclass(frozen=True)
class Page:
    """A page of a picture: its place in the file, its stored size and the largest one that its decoder allocates.

    `white_is_zero` is true where the smallest stored value is white.
    """

    index: int
    height: int
    width: int
    tile_height: int = 0
    tile_width: int = 0
    white_is_zero: bool = False


@dataclass(frozen=True)
class Header:
    """The header of a picture; `is_animated` where its pages build on each other, `rate` is in pages per second."""

    kind: str
    pages: tuple[Page, ...]
    is_animated: bool = False
    rate: float | None = None


def read_header(encoded: bytes) -> Header:
    """Read the header of an encoded PNG, JPEG, BMP, TIFF, GIF or WebP; ValueError for all else, and for damage."""
    kind = next((kind for start, kind in _SIGNATURES.items() if encoded.startswith(start)), "")
    try:
        if kind == "PNG":
            _check_chunks(encoded)
        match kind:
            case "PNG" if b"acTL" in encoded.partition(b"IDAT")[0]:
                return _animation(encoded, kind)
            case "PNG":
                width, height = struct.unpack_from(">II", encoded, 16)
                return Header(kind, (Page(0, height, width),))
            case "JPEG":
                height, width, *_ = simplejpeg.decode_jpeg_header(encoded)
                return Header(kind, (Page(0, height, width),))
            case "BMP":
                [size] = struct.unpack_from("<I", encoded, 14)
                width, height = struct.unpack_from("<HH" if size == 12 else "<ii", encoded, 18)
                # Where rows lie from the top down, the height is negative.
                return Header(kind, (Page(0, abs(height), width),))
            case "TIFF":
                return Header(kind, tuple(_tiff_pages(encoded)))
            case "GIF" | "WEBP":
                return _animation(encoded, kind)
    # A BigTIFF may claim a place that no file reaches.
    except (struct.error, KeyError, OverflowError) as error:
        raise ValueError("damaged") from error
    raise ValueError("of another kind")


def open_animation(encoded: bytes) -> Image.Image:
    """Open an animation by Pillow, which decodes it; ValueError where it is damaged or larger than Pillow decodes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(encoded), formats=("PNG", "GIF", "WEBP"))
    except Exception as error:
        # Pillow raises whatever the damage leads to.
        raise ValueError("damaged") from error


def _check_chunks(encoded: bytes) -> None:
    """Raise ValueError where a chunk of a PNG reaches beyond the file: its decoder takes all the memory it claims."""
    place, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", encoded, place)
        # Around the data are length, name and checksum.
        place += length + 12
        if place > len(encoded):
            raise ValueError("damaged")


def _animation(encoded: bytes, kind: str) -> Header:
    image = open_animation(encoded)
    try:
        count = getattr(image, "n_frames", 1)
    except Exception as error:
        raise ValueError("damaged") from error
    milliseconds = image.info.get("duration") or 0
    rate = 1000 / milliseconds if milliseconds else None
    return Header(kind, tuple(Page(index, image.height, image.width) for index in range(count)), True, rate)


def _tiff_pages(encoded: bytes) -> Iterator[Page]:
    """Yield the pages of a TIFF, classic or BigTIFF, without thumbnails and transparency masks."""
    order = {b"II": "<", b"MM": ">"}[encoded[:2]]
    [version] = struct.unpack_from(f"{order}H", encoded, 2)
    start, pointer, count, entry = (4, "I", "H", "HHI4s") if version == 42 else (8, "Q", "Q", "HHQ8s")
    [place] = struct.unpack_from(order + pointer, encoded, start)
    index, places = 0, set()
    while place:
        if place in places:
            raise ValueError("damaged")
        places.add(place)
        [entries] = struct.unpack_from(order + count, encoded, place)
        place += struct.calcsize(order + count)
        tags: dict[int, int] = {}
        for _ in range(entries):
            tag, form, _, value = struct.unpack_from(order + entry, encoded, place)
            place += struct.calcsize(order + entry)
            if tag in (_SUBFILE_TYPE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT):
                # Of a tag that is there twice, two decoders may read two different values.
                if tag in tags:
                    raise ValueError("damaged")
                [tags[tag]] = struct.unpack_from(order + _NUMBERS[form], value)
        if not tags.get(_SUBFILE_TYPE, 0) & _NO_PAGE:
            yield Page(
                index,
                tags[_HEIGHT],
                tags[_WIDTH],
                tags.get(_TILE_HEIGHT, 0),
                tags.get(_TILE_WIDTH, 0),
                tags.get(_PHOTOMETRIC) == 0,
            )
        index += 1
        [place] = struct.unpack_from(order + pointer, encoded, place)
