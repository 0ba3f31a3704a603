from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stages.cases.images import merge_masks, pixel_digest, read_grey, read_mask
from stages.cases.letterbox import Letterbox
from stages.pipeline.engine import map_on_all_cores
from stages.pipeline.errors import UserError

SIDES = st.integers(1, 300)
SIZES = st.sampled_from([16, 64, 128])
TRUTH = np.array([[True, False], [False, True]])


@pytest.mark.parametrize(
    ("layout", "pixels"),
    [
        ("8 bit", TRUTH * np.uint8(255)),
        ("0 and 1", TRUTH * np.uint8(1)),
        ("16 bit", TRUTH * np.uint16(65535)),
        ("RGB", np.repeat((TRUTH * np.uint8(255))[..., None], 3, axis=-1)),
        ("RGBA, opaque", np.dstack([TRUTH * np.uint8(255)] * 3 + [np.full((2, 2), 255, np.uint8)])),
    ],
)
def test_masks_of_any_depth_and_channels_read_alike(write: Write, layout: str, pixels: NDArray[np.generic]) -> None:
    assert np.array_equal(read_mask(write("mask.png", pixels)), TRUTH), layout


def test_a_mask_of_one_bit_reads_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), TRUTH * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert np.array_equal(read_mask(path), TRUTH)


def test_an_opaque_black_mask_is_empty(write: Write) -> None:
    black = np.zeros((4, 4, 4), np.uint8)
    black[..., 3] = 255
    assert not read_mask(write("mask.png", black)).any()


@given(arrays(bool, (3, 5, 7)))
def test_a_pixel_is_lesion_where_any_mask_says_so(masks: NDArray[np.bool_]) -> None:
    assert np.array_equal(merge_masks(list(masks)), masks.any(axis=0))


def test_a_truncated_image_is_refused_by_name(write: Write) -> None:
    path = write("scan.png", np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"scan\.png"):
        read_grey(path)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
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
    assert not Letterbox.fit(height, width, size).mask_in(mask).any()
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    assert Letterbox.fit(height, width, size).mask_in(mask).any()


@given(st.integers(20, 300), st.integers(20, 300))
def test_there_and_back_keeps_a_lesion(height: int, width: int) -> None:
    box = Letterbox.fit(height, width, 256)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    back = box.image_out(box.mask_in(mask) * np.uint8(255)) >= 128
    assert back.shape == mask.shape
    # At most the outline moves, by about a pixel of the coarser grid.
    assert (back ^ mask).sum() <= 2 * (height // 4 + width // 4) * max(1, max(height, width) / 256)


@given(SIDES, SIDES, SIZES)
def test_a_grey_image_keeps_its_level_and_has_black_padding(height: int, width: int, size: int) -> None:
    box = Letterbox.fit(height, width, size)
    square = box.image_in(np.full((height, width), 100, np.uint8))
    assert (box.content(square) == 100).all()
    assert (square == 100).sum() == box.content_height * box.content_width


@given(st.integers(0, 700))
def test_results_come_in_the_order_of_the_items(items: int) -> None:
    assert list(map_on_all_cores(lambda item: item * 2, range(items), "test")) == [2 * item for item in range(items)]
