import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import Write
from PIL import Image
from scan_files import clip_bytes, dicom_bytes, picture_bytes, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import list_scans
from breast_ultrasound.scans.reading import open_scan, read_frames, read_scan


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_a_picture_is_a_scan_of_one_frame(write: Write, suffix: str) -> None:
    path = write(f"Brust 乳房\n{suffix}", scan_image())
    with open_scan(path) as scan:
        assert (scan.length, scan.rate) == (1, None)
        [frame] = scan.frames
    assert np.array_equal(frame.image, scan_image())
    assert (frame.number, frame.mm_per_pixel) == (1, None)
    assert np.array_equal(frame.to_whole(frame.image < 100), scan_image() < 100)


def test_dicom_is_recognised_by_its_first_bytes_whatever_its_name(tmp_path: Path) -> None:
    names = ["1.2.840.113.5", "DICOMDIR.txt", "IM_0001", "scan.IMA", "scan.dcm", "scan.png"]
    for name in names:
        (tmp_path / name).write_bytes(dicom_bytes([scan_image()]))
        assert len(list(read_frames(tmp_path / name))) == 1
    (tmp_path / "notes").write_text("no scan")
    assert [path.name for path in list_scans(tmp_path).scans] == names


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.dcm: cannot be read \(No such file"):
        list(read_frames(tmp_path / "gone.dcm"))


def bomb(width: int, height: int) -> bytes:
    """A PNG of any size, black but for one pixel, a thousandth as large as its pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"\0\1" + bytes((1 + width) * height - 2), 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(UserError, match="3000×2000 pixels are more than the limit of 1,000,000"):
        list(read_scan(io.BytesIO(bomb(3000, 2000)), "bomb.png", most_pixels=1_000_000).frames)
    with pytest.raises(UserError, match=r"bomb\.png: 16000×12000 pixels are more than the limit of 169,000,000"):
        list(read_scan(io.BytesIO(bomb(16_000, 12_000)), "bomb.png").frames)
    [frame] = read_scan(io.BytesIO(bomb(12_000, 12_000)), "large.png").frames
    assert frame.image.shape == (12_000, 12_000)


@pytest.mark.parametrize("size", [(1, 2), (1, 700), (500, 2)])
def test_an_image_of_any_size_is_read(size: tuple[int, int]) -> None:
    image = np.arange(np.prod(size), dtype=np.uint8).reshape(size)
    for content, name in ((picture_bytes(image), "a.png"), (dicom_bytes([image]), "a.dcm")):
        [frame] = read_scan(io.BytesIO(content), name).frames
        assert np.array_equal(frame.image, image)


def test_each_kind_under_the_name_of_another_is_refused_or_read() -> None:
    contents = (picture_bytes(scan_image()), dicom_bytes([scan_image()]), clip_bytes([scan_image()] * 3))
    for content in contents:
        for name in ("a.png", "a.dcm", "a.mp4"):
            try:
                assert list(read_scan(io.BytesIO(content), name).frames)
            except UserError as error:
                assert str(error).startswith(f"{name}: ")


@pytest.mark.parametrize("form", ["TIFF", "PNG", "GIF", "WEBP"])
def test_a_picture_of_several_pages_is_a_scan_of_several_frames(form: str) -> None:
    loop = [np.roll(scan_image(), 9 * step, axis=1) for step in range(4)]
    file = io.BytesIO()
    first, *others = [Image.fromarray(frame) for frame in loop]
    timing = {"duration": 100} if form in ("PNG", "GIF") else {}
    first.save(file, form, save_all=True, append_images=others, lossless=True, **timing)
    scan = read_scan(io.BytesIO(file.getvalue()), "loop.tif")
    assert (scan.length, scan.moves, scan.rate) == (4, True, 10 if timing else None)
    for number, (frame, image) in enumerate(zip(scan.frames, loop, strict=True), start=1):
        assert frame.number == number
        assert np.array_equal(frame.image, image)


def test_pages_of_several_sizes_are_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(scan_image()).save(file, "TIFF", save_all=True, append_images=[Image.fromarray(scan_image(50, 60))])
    with pytest.raises(UserError, match=r"loop\.tif: page 2 has another size"):
        list(read_scan(io.BytesIO(file.getvalue()), "loop.tif").frames)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_picture_of_a_single_grey_value_is_refused(level: int) -> None:
    with pytest.raises(UserError, match=r"scan\.png: shows a single grey value"):
        list(read_scan(io.BytesIO(picture_bytes(np.full((40, 60), level, np.uint8))), "scan.png").frames)


@pytest.mark.parametrize(
    ("name", "content"), [("scan.dcm.gz", gzip.compress(b"scan", mtime=0)), ("scan.zip", b"PK\3\4scan")]
)
def test_an_archive_is_named_as_one(name: str, content: bytes) -> None:
    with pytest.raises(UserError, match=rf"^{name}: is a g?zip.*\. Unpack it"):
        read_scan(io.BytesIO(content), name)
