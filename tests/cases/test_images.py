import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from conftest import Write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import ExifTags, Image

from breast_ultrasound.cases.images import merge_masks, pixel_digest, read_grey, read_mask
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError


def png_of_50000_squared() -> bytes:
    """A PNG whose header claims more pixels than OpenCV decodes, and that holds none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


SIDES = st.integers(1, 300)
SIZES = st.sampled_from([16, 64, 128])
TRUTH = np.array([[True, False], [False, True]])
DISC = (np.add.outer((np.arange(60) - 30) ** 2, (np.arange(60) - 25) ** 2) < 400) * np.uint8(255)


@pytest.mark.parametrize(
    ("layout", "pixels"),
    [
        ("8 bit", TRUTH * np.uint8(255)),
        ("0 and 1", TRUTH * np.uint8(1)),
        ("16 bit", TRUTH * np.uint16(65535)),
        ("16 bit, low byte zero", TRUTH * np.uint16(256)),
        ("16 bit, high bit alone", TRUTH * np.uint16(32768)),
        ("12 of 16 bit", TRUTH * np.uint16(4095)),
        ("1 and 2", TRUTH + np.uint8(1)),
        ("close greys", np.where(TRUTH, np.uint8(200), np.uint8(150))),
        ("labels", np.array([[1, 0], [0, 2]], np.uint8)),
        ("labels of 16 bit", np.array([[1, 0], [0, 31]], np.uint16)),
        ("RGB", np.repeat((TRUTH * np.uint8(255))[..., None], 3, axis=-1)),
        ("RGBA, opaque", np.dstack([TRUTH * np.uint8(255)] * 3 + [np.full((2, 2), 255, np.uint8)])),
    ],
)
def test_masks_of_any_depth_and_channels_read_alike(write: Write, layout: str, pixels: NDArray[np.generic]) -> None:
    assert np.array_equal(read_mask(write("mask.png", pixels)), TRUTH), layout


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_a_tiff_mask_of_numbers_reads_as_any_other(write: Write, dtype: type[np.generic]) -> None:
    assert np.array_equal(read_mask(write("mask.tiff", TRUTH.astype(dtype))), TRUTH)


@pytest.mark.parametrize("quality", [20, 75, 95, 100])
def test_a_jpeg_mask_is_lesion_above_half(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "mask.jpg"
    cv2.imwrite(str(path), DISC, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert (read_mask(path) ^ (DISC > 0)).mean() < 0.002


@pytest.mark.parametrize("white", [np.uint8(1), np.uint16(257)])
def test_a_smoothed_mask_is_lesion_above_half(write: Write, white: np.integer) -> None:
    smoothed = np.asarray(cv2.resize(DISC, (90, 90), interpolation=cv2.INTER_AREA)) * white
    assert np.array_equal(read_mask(write("mask.png", smoothed)), smoothed > smoothed.max() / 2)


BLOCKS = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((9, 9), np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [
        BLOCKS * np.uint8(85),
        BLOCKS * np.uint16(1000),
        BLOCKS + np.uint8(1),
        (BLOCKS / 3).astype(np.float32),
        TRUTH.astype(np.float32) - 1,
    ],
    ids=["labels spread over the greys", "labels over 16 bit", "no label is zero", "probabilities", "below zero"],
)
def test_a_mask_that_can_be_read_in_two_ways_is_refused_by_name(write: Write, pixels: NDArray[np.generic]) -> None:
    with pytest.raises(UserError, match=r"mask\.tiff: which pixels are lesion is ambiguous"):
        read_mask(write("mask.tiff", pixels))


def test_a_mask_of_one_bit_reads_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), TRUTH * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert np.array_equal(read_mask(path), TRUTH)


def test_an_opaque_black_mask_is_empty(write: Write) -> None:
    black = np.zeros((4, 4, 4), np.uint8)
    black[..., 3] = 255
    assert not read_mask(write("mask.png", black)).any()


def transparent(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([colour, colour, colour, alpha])


@pytest.mark.parametrize("level", [0, 255])
def test_a_mask_of_one_colour_is_drawn_by_its_opacity(write: Write, level: int) -> None:
    pixels = transparent(np.full_like(DISC, level), DISC)
    assert np.array_equal(read_mask(write("mask.png", pixels)), DISC > 0)


def test_a_mask_whose_lesion_is_opaque_and_coloured_reads_as_any_other(write: Write) -> None:
    assert np.array_equal(read_mask(write("mask.png", transparent(DISC, DISC))), DISC > 0)


def test_a_mask_whose_brighter_part_is_transparent_is_refused(write: Write) -> None:
    with pytest.raises(UserError, match=r"mask\.png: which pixels are lesion is ambiguous"):
        read_mask(write("mask.png", transparent(255 - DISC, DISC)))


@pytest.mark.parametrize("share", [0.99, 1.0])
def test_a_mask_that_covers_nearly_all_of_the_image_is_refused(write: Write, share: float) -> None:
    pixels = np.zeros((100, 50), np.uint8)
    pixels[: round(100 * share)] = 255
    with pytest.raises(UserError, match=r"mask\.png: calls (99|100)\.0% of the image lesion"):
        read_mask(write("mask.png", pixels))
    pixels[90:] = 0
    assert read_mask(write("mask.png", pixels)).mean() == 0.9


@given(arrays(bool, (3, 5, 7)))
def test_a_pixel_is_lesion_where_any_mask_says_so(masks: NDArray[np.bool_]) -> None:
    assert np.array_equal(merge_masks(list(masks)), masks.any(axis=0))


# What the EXIF standard says is done to the stored pixels to show them.
UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_image_and_mask_lie_as_viewers_show_them(tmp_path: Path, form: str, orientation: int) -> None:
    tag = Image.Exif()
    tag[ExifTags.Base.Orientation] = orientation
    stored = np.zeros((64, 96), np.uint8)
    stored[:16, :48] = stored[16:32, :16] = 255
    path = tmp_path / "turned.png"
    Image.fromarray(stored).save(path, form, exif=tag)
    upright = UPRIGHT[orientation](stored) > 127
    assert np.array_equal(read_grey(path) > 127, upright)
    assert np.array_equal(read_mask(path), upright)


COLOURS = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_image_is_read_as_its_luminance(tmp_path: Path, mode: Literal["RGB", "RGBA", "P"]) -> None:
    path = tmp_path / "scan.png"
    COLOURS.convert(mode).save(path)
    # 0.299 red + 0.587 green + 0.114 blue, rounded down.
    assert read_grey(path).tolist() == [[76, 149], [29, 255]]


def test_an_image_of_8_bits_keeps_its_greys(write: Write) -> None:
    pixels = np.array([[10, 20], [30, 40]], np.uint8)
    assert np.array_equal(read_grey(write("scan.png", pixels)), pixels)


@pytest.mark.parametrize(
    "pixels",
    [
        np.array([[0, 1000], [2000, 4095]], np.uint16),
        np.array([[100, 1100], [2100, 4195]], np.uint16),
        np.array([[0, 1000], [2000, 4095]], np.float32) / 4095,
        np.array([[-2000, -1000], [0, 2095]], np.int32),
    ],
    ids=["12 bits", "12 bits above a floor", "floating point", "signed"],
)
def test_an_image_of_more_than_8_bits_is_mapped_by_its_own_range(write: Write, pixels: NDArray[np.generic]) -> None:
    assert read_grey(write("scan.tiff", pixels)).tolist() == [[0, 62], [125, 255]]


def test_an_image_of_16_bits_and_one_level_is_black(write: Write) -> None:
    assert not read_grey(write("scan.png", np.full((2, 2), 700, np.uint16))).any()


@pytest.mark.parametrize("read", [read_grey, read_mask])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_values_that_are_no_numbers_is_refused_by_name(
    write: Write, read: Callable[[Path], object], value: float
) -> None:
    with pytest.raises(UserError, match=r"scan\.tiff: holds values that are no finite numbers"):
        read(write("scan.tiff", np.array([[0, 1], [1, value]], np.float32)))


def test_a_truncated_image_is_refused_by_name(write: Write) -> None:
    path = write("scan.png", np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"scan\.png"):
        read_grey(path)


@pytest.mark.parametrize("content", [b"", b"no image", png_of_50000_squared()])
def test_a_file_that_cannot_be_decoded_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"scan\.png"):
        read_grey(path)


def test_the_digest_ignores_the_encoding_and_sees_every_pixel(write: Write) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 9), dtype=np.uint8)
    as_colour = write("colour.png", np.repeat(pixels[..., None], 3, axis=-1))
    assert pixel_digest(read_grey(as_colour)) == pixel_digest(pixels)
    assert pixel_digest(pixels.reshape(3, 27)) != pixel_digest(pixels)
    pixels[4, 4] ^= 1
    assert pixel_digest(read_grey(as_colour)) != pixel_digest(pixels)


@given(SIDES, SIDES, SIZES)
def test_the_letterbox_keeps_the_aspect_ratio_and_fits(height: int, width: int, size: int) -> None:
    box = Letterbox.fit(height, width, size)
    assert max(box.content_height, box.content_width) == size
    assert box.content(np.zeros((size, size))).shape == (box.content_height, box.content_width)
    # Each side is rounded to whole pixels, so the ratio holds to within half of one.
    shorter, longer = sorted((height, width))
    assert abs(min(box.content_height, box.content_width) - max(1, size * shorter / longer)) <= 0.5


@given(SIDES, SIDES, SIZES, st.data())
def test_a_lesion_never_vanishes_in_the_letterbox(height: int, width: int, size: int, data: st.DataObject) -> None:
    mask = np.zeros((height, width), bool)
    assert not Letterbox.fit(height, width, size).mask_to_grid(mask).any()
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    assert Letterbox.fit(height, width, size).mask_to_grid(mask).any()


@given(st.integers(20, 300), st.integers(20, 300))
def test_there_and_back_keeps_a_lesion(height: int, width: int) -> None:
    box = Letterbox.fit(height, width, 256)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    back = box.to_native(box.mask_to_grid(mask) * np.uint8(255)) >= 128
    assert back.shape == mask.shape
    # At most the outline moves, by about a pixel of the coarser grid.
    assert (back ^ mask).sum() <= 2 * (height // 4 + width // 4) * max(1, max(height, width) / 256)


@given(SIDES, SIDES, SIZES)
def test_a_grey_image_keeps_its_level_and_has_black_padding(height: int, width: int, size: int) -> None:
    box = Letterbox.fit(height, width, size)
    grid = box.to_grid(np.full((height, width), 100, np.uint8))
    assert (box.content(grid) == 100).all()
    assert (grid == 100).sum() == box.content_height * box.content_width


@given(st.integers(0, 700))
def test_results_come_in_the_order_of_the_items(items: int) -> None:
    assert list(map_on_all_cores(lambda item: item * 2, range(items), "test")) == [2 * item for item in range(items)]
