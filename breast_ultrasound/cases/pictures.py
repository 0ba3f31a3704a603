"""Decoding of pictures: PNG, JPEG, BMP, TIFF, GIF and WebP, of one or several pages.

The one place that decodes them, under one limit of pixels.
"""

import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps

from breast_ultrasound.cases.picture_headers import Header, Page, open_animation, read_header
from breast_ultrasound.pipeline.errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"}

# Beyond any scanner, and 169 MB in grey.
MOST_PIXELS = 13_000**2


@dataclass(frozen=True)
class Picture:
    """An encoded picture whose header was read; messages call it `name`."""

    encoded: bytes
    name: str
    most_pixels: int
    header: Header

    def pages(self, channels: int) -> Iterator[NDArray[Any]]:
        """Decode page after page at its own depth: [height, width], or [height, width, 3] in colour, without alpha.

        `channels` is OpenCV's IMREAD_GRAYSCALE (luminance), IMREAD_COLOR or IMREAD_ANYCOLOR. Pixels lie as viewers show
        them: an orientation tag (EXIF or TIFF) turns and mirrors images and masks alike. The smallest value is black.
        UserError where a page is damaged or holds values that are no finite numbers.
        """
        for page in self.header.pages:
            check_size(self.name, page.height, page.width, self.most_pixels)
            check_size(self.name, max(1, page.tile_height), max(1, page.tile_width), self.most_pixels)
        self._check_intact()
        decoded = self._animation(channels) if self.header.is_animated else self._stills(channels)
        for pixels in decoded:
            if not np.isfinite(pixels).all():
                raise UserError(f"{self.name}: holds values that are no finite numbers. Replace it.")
            yield pixels

    def alpha(self) -> NDArray[np.uint8] | None:
        """Decode how opaque each pixel of the first page is, uint8 [height, width]; None where all are opaque."""
        if self.header.kind in ("JPEG", "BMP"):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(io.BytesIO(self.encoded), formats=(self.header.kind,))
                if not image.has_transparency_data:
                    return None
                upright = ImageOps.exif_transpose(image.convert("RGBA") if image.mode == "P" else image)
                return np.asarray(upright.convert("RGBA").getchannel("A"))
        except Exception as error:
            # Pillow raises whatever the damage leads to, and does not decode every TIFF of numbers.
            if self.header.kind == "TIFF":
                return None
            raise not_readable(self.name) from error

    def _check_intact(self) -> None:
        # In these kinds OpenCV goes on over damage and makes up what it cannot read.
        try:
            if self.header.kind == "JPEG":
                simplejpeg.decode_jpeg(self.encoded, "GRAY")
            elif self.header.kind == "TIFF":
                _load_by_pillow(self.encoded, self.header.pages)
        except (OSError, ValueError) as error:
            raise not_readable(self.name) from error

    def _stills(self, channels: int) -> Iterator[NDArray[Any]]:
        for page in self.header.pages:
            pixels = _decode(self.encoded, page, channels)
            # The header that was read is not the one that was decoded.
            if pixels is None or pixels.shape[0] * pixels.shape[1] != page.height * page.width:
                raise not_readable(self.name)
            yield _inverted(pixels) if page.white_is_zero and pixels.dtype != np.uint8 else pixels

    def _animation(self, channels: int) -> Iterator[NDArray[Any]]:
        try:
            image = open_animation(self.encoded)
            for page in self.header.pages:
                image.seek(page.index)
                # A frame of a GIF may be larger than its canvas.
                check_size(self.name, image.height, image.width, self.most_pixels)
                colours = np.asarray(image.convert("RGB"))
                grey = channels == cv2.IMREAD_GRAYSCALE
                yield np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY if grey else cv2.COLOR_RGB2BGR))
        except UserError:
            raise
        except Exception as error:
            # Pillow raises whatever the damage leads to.
            raise not_readable(self.name) from error


def open_picture(encoded: bytes, name: str, most_pixels: int = MOST_PIXELS) -> Picture:
    """Read the header of a picture; UserError, which calls it `name`, where it is damaged or of another kind."""
    try:
        header = read_header(encoded)
    except ValueError as error:
        raise not_readable(name) from error
    if not header.pages:
        raise not_readable(name)
    return Picture(encoded, name, most_pixels, header)


def read_picture(path: Path) -> Picture:
    """Read a picture of one page; UserError where it is missing, damaged, of another kind or has several."""
    with open_file(path) as file:
        # Not cv2.imread: on Windows it can't open a path with letters outside the code page.
        picture = open_picture(file.read(), str(path))
    count = len(picture.header.pages)
    if count > 1:
        raise UserError(f"{path}: holds {count} pages, where one image is expected. Save the page that is meant alone.")
    return picture


def decode(path: Path, channels: int) -> NDArray[Any]:
    """Decode a picture of one page as `Picture.pages` does; UserError also where it is missing or has several."""
    [pixels] = read_picture(path).pages(channels)
    return pixels


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read; UserError where it is missing, unreadable, or something that may never end."""
    try:
        # A pipe that nobody writes to would block otherwise.
        file = open(  # noqa: SIM115  the caller closes it
            path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read ({reason}).") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UserError(f"{path}: is no regular file.")
    return file


def check_size(name: str, height: int, width: int, most_pixels: int) -> None:
    """Raise UserError where an image claims no pixels or more than `most_pixels`, before any of them is decoded."""
    if height < 1 or width < 1:
        raise UserError(f"{name}: claims to be {width}×{height} pixels; it is damaged. Replace it.")
    if height * width > most_pixels:
        raise UserError(f"{name}: {width}×{height} pixels are more than the limit of {most_pixels:,}. Make it smaller.")


def not_readable(name: str) -> UserError:
    """Return the error for a picture that cannot be decoded."""
    return UserError(
        f"{name}: not a readable image (PNG, JPEG, BMP, TIFF, GIF, WebP); it is damaged or of another kind. Replace it."
    )


def _decode(encoded: bytes, page: Page, channels: int) -> NDArray[Any] | None:
    buffer = np.frombuffer(encoded, np.uint8)
    flags = channels | cv2.IMREAD_ANYDEPTH
    try:
        if page.index == 0:
            return cv2.imdecode(buffer, flags)
        decoded = cv2.imdecodemulti(buffer, flags, range=(page.index, page.index + 1))[1]
    except cv2.error:
        return None
    return np.asarray(decoded[0]) if decoded else None


def _load_by_pillow(encoded: bytes, pages: Sequence[Page]) -> None:
    """Load the pages of a TIFF that Pillow decodes; OSError where one is damaged, by its checksum among others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for page in pages:
            try:
                image = Image.open(io.BytesIO(encoded), formats=("TIFF",))
                image.seek(page.index)
            except Exception:
                # What Pillow does not decode, such as numbers of double precision.
                continue
            image.load()


def _inverted(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return values whose smallest is white with the smallest black, as OpenCV does with 8 bits alone."""
    if np.issubdtype(pixels.dtype, np.integer):
        return ~pixels
    return max(1.0, pixels.max()) - pixels
