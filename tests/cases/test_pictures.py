"""Pictures of every kind: their pages, their values as viewers show them, damage, and the limit of pixels."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scan_files import picture_bytes, scan_image

from breast_ultrasound.cases.images import read_grey, read_mask
from breast_ultrasound.cases.pictures import open_picture
from breast_ultrasound.pipeline.errors import UserError

PAGES = [np.roll(scan_image(), 9 * step, axis=1) for step in range(4)]


def paged(form: str, pages: Sequence[NDArray[np.uint8]] = PAGES) -> bytes:
    """Images as the pages of one file."""
    first, *others = [Image.fromarray(page) for page in pages]
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    file = io.BytesIO()
    first.save(file, form, save_all=True, append_images=others, **options)
    return file.getvalue()


def tiff_of_white_zeros(pixels: NDArray[Any]) -> bytes:
    """A TIFF of one strip whose smallest value is white."""
    height, width = pixels.shape
    form = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    data = pixels.tobytes()
    values = {256: width, 257: height, 258: 8 * pixels.itemsize, 259: 1, 262: 0, 273: 8, 277: 1, 278: height}
    entries = {**values, 279: len(data), 339: form}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return head + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def decode(encoded: bytes, **limits: int) -> list[NDArray[Any]]:
    return list(open_picture(encoded, "scan", **limits).pages(cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("form", ["TIFF", "PNG", "GIF", "WEBP"])
def test_every_page_is_decoded_in_order(form: str) -> None:
    for decoded, page in zip(decode(paged(form)), PAGES, strict=True):
        assert np.array_equal(decoded, page)


@pytest.mark.parametrize("read", [read_grey, read_mask])
@pytest.mark.parametrize("form", ["TIFF", "PNG", "GIF", "WEBP"])
def test_several_pages_where_one_image_is_expected_are_refused_with_their_number(
    form: str, read: Any, tmp_path: Path
) -> None:
    path = tmp_path / "loop.tif"
    path.write_bytes(paged(form))
    with pytest.raises(UserError, match=r"loop\.tif: holds 4 pages"):
        read(path)


def test_a_thumbnail_is_no_page() -> None:
    image = Image.fromarray(scan_image())
    small = image.resize((9, 6))
    # Of the subfile type "a smaller copy of another page".
    small.encoderinfo = {"tiffinfo": {254: 1}}
    file = io.BytesIO()
    image.save(file, "TIFF", save_all=True, append_images=[small])
    [decoded] = decode(file.getvalue())
    assert np.array_equal(decoded, scan_image())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_zero_is_white_is_inverted_as_viewers_do(tmp_path: Path, dtype: type[Any]) -> None:
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    mask = np.zeros((30, 40), bool)
    mask[10:16, 10:24] = True
    path = tmp_path / "mask.tif"
    path.write_bytes(tiff_of_white_zeros(np.where(mask, 0, white).astype(dtype)))
    assert np.array_equal(read_mask(path), mask)
    assert np.array_equal(read_grey(path) > 127, mask)


def jpeg(image: NDArray[np.uint8], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


NOISE = np.asarray(
    cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8), (0, 0), 2), np.uint8
)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_decoder_notices_damage_is_refused(progressive: bool, capfd: pytest.CaptureFixture[str]) -> None:
    content = jpeg(NOISE, progressive=progressive)
    middle = len(content) // 2
    with pytest.raises(UserError, match=r"^scan: not a readable image"):
        decode(content[:middle] + content[middle + 400 :])
    assert capfd.readouterr().err == ""


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    [decoded] = decode(jpeg(NOISE) + b"garbage")
    assert np.abs(decoded.astype(int) - NOISE).mean() < 2


def png_with_a_broken_text(height: int, width: int) -> bytes:
    content = cv2.imencode(".png", np.eye(height, width, dtype=np.uint8) * np.uint8(255))[1].tobytes()
    text = struct.pack(">I4s", 3, b"zTXt") + b"a\0\7" + struct.pack(">I", zlib.crc32(b"zTXta\0\7"))
    return content[:33] + text + content[33:]


def encoded(suffix: str, dtype: type[Any] = np.uint8) -> bytes:
    return cv2.imencode(suffix, np.eye(300, 400).astype(dtype) * 200)[1].tobytes()


@pytest.mark.parametrize(
    "content",
    [
        encoded(".png"),
        png_with_a_broken_text(300, 400),
        encoded(".jpg"),
        encoded(".bmp"),
        encoded(".tif"),
        encoded(".tif", np.float64),
        encoded(".webp"),
        paged("GIF", [np.eye(300, 400, dtype=np.uint8) * 200, np.zeros((300, 400), np.uint8)]),
    ],
    ids=["PNG", "PNG with a broken text", "JPEG", "BMP", "TIFF", "TIFF of numbers", "WebP", "GIF"],
)
def test_the_limit_of_pixels_holds_for_every_kind(content: bytes) -> None:
    assert {page.shape for page in decode(content, most_pixels=120_000)} == {(300, 400)}
    with pytest.raises(UserError, match=r"^scan: 400×300 pixels are more than the limit of 119,999"):
        decode(content, most_pixels=119_999)


@pytest.mark.parametrize("form", ["JPEG2000", "AVIF", "PPM", "TGA"])
def test_kinds_whose_header_is_not_read_are_not_decoded(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(scan_image()).save(file, form)
    with pytest.raises(UserError, match=r"^scan: not a readable image"):
        decode(file.getvalue())


@pytest.mark.parametrize("repeated", [256, 322])
def test_a_tiff_that_claims_two_widths_or_huge_tiles_is_refused(repeated: int) -> None:
    content = bytearray(tiff_of_white_zeros(np.eye(4, 5, dtype=np.uint8)))
    place = content.index(struct.pack("<HHI", 278, 4, 1))
    content[place : place + 12] = struct.pack("<HHII", repeated, 4, 1, 10**9)
    with pytest.raises(UserError, match=r"^scan: "):
        decode(bytes(content))


@pytest.mark.parametrize("form", ["tiff_adobe_deflate", "tiff_lzw"])
def test_a_tiff_whose_compressed_pixels_are_damaged_is_refused(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "TIFF", compression=form)
    content = bytearray(file.getvalue())
    assert np.array_equal(decode(bytes(content))[0], noise)
    content[2000:2004] = b"\xff" * 4
    with pytest.raises(UserError, match=r"^scan: not a readable image"):
        decode(bytes(content))


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
def test_a_tiff_that_pillow_does_not_decode_is_read(dtype: type[Any]) -> None:
    assert decode(encoded(".tif", dtype))[0].max() == 200


def test_a_png_whose_chunk_claims_more_than_the_file_holds_is_refused_before_it_is_decoded() -> None:
    content = bytearray(picture_bytes(scan_image()))
    content[content.index(b"IDAT") - 4] = 0xFF
    with pytest.raises(UserError, match=r"^scan: not a readable image"):
        open_picture(bytes(content), "scan")


def test_a_big_tiff_whose_pages_begin_beyond_any_file_is_refused() -> None:
    with pytest.raises(UserError, match=r"^scan: not a readable image"):
        decode(b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(400))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scan.png")
    with pytest.raises(UserError, match=r"scan\.png: is no regular file"):
        read_grey(tmp_path / "scan.png")
    with pytest.raises(UserError, match="cannot be read"):
        read_grey(tmp_path / "a\0b.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(UserError, match=r"loop\.png: cannot be read"):
        read_grey(tmp_path / "loop.png")
