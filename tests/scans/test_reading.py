import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import Write
from scan_files import clip_bytes, dicom_bytes, picture_bytes, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import frames, is_scan, opened, scan_of


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_a_picture_is_a_scan_of_one_frame(write: Write, suffix: str) -> None:
    path = write(f"Brust 乳房\n{suffix}", scan_image())
    with opened(path) as scan:
        assert (scan.length, scan.rate) == (1, None)
        [frame] = scan.frames
    assert np.array_equal(frame.image, scan_image())
    assert (frame.number, frame.mm_per_pixel) == (1, None)
    assert np.array_equal(frame.on_whole(frame.image < 100), scan_image() < 100)


def test_dicom_is_known_by_its_first_bytes_whatever_its_name(tmp_path: Path) -> None:
    for name in ("IM_0001", "scan.png", "scan.dcm"):
        (tmp_path / name).write_bytes(dicom_bytes([scan_image()]))
        assert len(list(frames(tmp_path / name))) == 1
    (tmp_path / "DICOMDIR.txt").write_bytes(dicom_bytes([scan_image()]))
    (tmp_path / "notes").write_text("no scan")
    found = sorted(path.name for path in tmp_path.iterdir() if is_scan(path))
    assert found == ["IM_0001", "scan.dcm", "scan.png"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.dcm: cannot be read \(No such file"):
        list(frames(tmp_path / "gone.dcm"))


def bomb(width: int, height: int) -> bytes:
    """A black PNG of any size, a thousandth as large as its pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes((1 + width) * height), 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(UserError, match="3000×2000 pixels are more than the 1,000,000"):
        list(scan_of(io.BytesIO(bomb(3000, 2000)), "bomb.png", most_pixels=1_000_000).frames)
    with pytest.raises(UserError, match=r"bomb\.png: more than the 169,000,000 pixels"):
        list(scan_of(io.BytesIO(bomb(16_000, 12_000)), "bomb.png").frames)
    [frame] = scan_of(io.BytesIO(bomb(12_000, 12_000)), "large.png").frames
    assert frame.image.shape == (12_000, 12_000)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (500, 2)])
def test_an_image_of_any_size_is_read(size: tuple[int, int]) -> None:
    image = np.full(size, 7, np.uint8)
    for content, name in ((picture_bytes(image), "a.png"), (dicom_bytes([image]), "a.dcm")):
        [frame] = scan_of(io.BytesIO(content), name).frames
        assert np.array_equal(frame.image, image)


def test_each_kind_under_the_name_of_another_is_refused_or_read() -> None:
    contents = (picture_bytes(scan_image()), dicom_bytes([scan_image()]), clip_bytes([scan_image()] * 3))
    for content in contents:
        for name in ("a.png", "a.dcm", "a.mp4"):
            try:
                assert list(scan_of(io.BytesIO(content), name).frames)
            except UserError as error:
                assert str(error).startswith(f"{name}: ")
