import io
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from scan_files import clip_bytes, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import clips
from breast_ultrasound.scans.folders import list_scans
from breast_ultrasound.scans.reading import open_scan, read_frames, read_scan
from breast_ultrasound.scans.scan import Frame

LOOP = [np.roll(scan_image(64, 96), 3 * step, axis=1) for step in range(8)]


def read(content: bytes, name: str = "loop.mp4") -> list[Frame]:
    return list(read_scan(io.BytesIO(content), name).frames)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_the_frames_of_a_clip_come_in_order_at_its_rate(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"Schleife 循环{suffix}"
    path.write_bytes(clip_bytes(LOOP, suffix, rate=12))
    with open_scan(path) as scan:
        assert (scan.length, scan.rate) == (8, 12)
        read_in_order = list(scan.frames)
    assert [frame.number for frame in read_in_order] == list(range(1, 9))
    for frame, true in zip(read_in_order, LOOP, strict=True):
        assert np.abs(frame.image.astype(int) - true).mean() < 6
        assert frame.mm_per_pixel is None


def test_a_clip_that_was_filmed_sideways_lies_as_players_show_it() -> None:
    content = bytearray(clip_bytes(LOOP))
    header = content.index(b"tkhd")
    quarter_turn = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    content[header + 44 : header + 80] = quarter_turn
    frame = read(bytes(content))[0]
    assert np.abs(frame.image.astype(int) - np.rot90(LOOP[0], -1)).mean() < 6


def test_memory_stays_flat_however_long_a_clip_is(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.avi"
        path.write_bytes(clip_bytes([scan_image(240, 320)] * count, ".avi"))
        tracemalloc.start()
        for frame in read_frames(path):
            assert frame.image.shape == (240, 320)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(200) < 1.2 * peak(20) + 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable video"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", "not a readable video"),
        (clip_bytes(LOOP)[:500], "not a readable video"),
        (clip_bytes(LOOP, ".avi")[:-2000], "ends before the length that it claims"),
        (clip_bytes(LOOP, ".mkv")[:-50], "ends before the length that it claims"),
    ],
)
def test_a_damaged_clip_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=rf"^loop\.mp4: .*{message}"):
        read(content)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.release()
    with pytest.raises(UserError, match=r"empty\.avi: (not a readable video|holds no frame)"):
        list(read_frames(path))


def test_frames_of_too_many_pixels_are_refused_before_one_is_decoded() -> None:
    with pytest.raises(UserError, match="96×64 pixels are more than the limit of 6,000"):
        read_scan(io.BytesIO(clip_bytes(LOOP)), "loop.mp4", most_pixels=6000)


def test_a_written_clip_has_all_pictures_also_of_odd_sizes(tmp_path: Path) -> None:
    pictures = [np.dstack([scan_image(31, 45) // divisor] * 3) for divisor in (1, 2, 3)]
    clips.write(tmp_path / "out" / "loop.mp4", pictures, rate=5)
    with open_scan(tmp_path / "out" / "loop.mp4") as scan:
        assert (scan.length, scan.rate) == (3, 5)
        assert {frame.whole.shape for frame in scan.frames} == {(32, 46)}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["loop.mp4"]


def test_a_clip_whose_pictures_fail_is_not_written(tmp_path: Path) -> None:
    def pictures() -> Iterator[np.ndarray]:
        yield np.zeros((32, 32, 3), np.uint8)
        raise UserError("damaged")

    with pytest.raises(UserError):
        clips.write(tmp_path / "loop.mp4", pictures(), rate=5)
    assert not list(tmp_path.iterdir())


CONTAINERS = {".mkv": "MJPG", ".webm": "VP80", ".wmv": "WMV2", ".mpg": "MPG1", ".m4v": "mp4v"}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_other_containers_are_read_too(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"loop{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*CONTAINERS[suffix]), 25, (96, 64))
    for frame in LOOP:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    assert list_scans(tmp_path).scans == [path]
    with open_scan(path) as scan:
        assert scan.moves
        decoded = list(scan.frames)
    assert not scan.notes
    for frame, true in zip(decoded, LOOP, strict=True):
        assert np.abs(frame.image.astype(int) - true).mean() < 6


def test_frames_that_a_container_counts_and_never_shows_are_noted() -> None:
    content = bytearray(clip_bytes(LOOP))
    # An edit list that begins three frames in, as cutting without encoding anew leaves it.
    place = content.index(b"elst")
    entries, duration, start = struct.unpack_from(">III", content, place + 8)
    assert (entries, start) == (1, 0)
    struct.pack_into(">II", content, place + 12, duration, 3 * 1024)
    scan = read_scan(io.BytesIO(bytes(content)), "loop.mp4")
    decoded = list(scan.frames)
    assert (scan.length, len(decoded)) == (8, 5)
    assert scan.notes == ["loop.mp4: 5 of the 8 frames that it counts can be decoded and are segmented."]


def test_a_last_box_without_a_length_is_no_damage() -> None:
    content = bytearray(clip_bytes(LOOP))
    place = content.rindex(b"moov") - 4
    content[place : place + 4] = bytes(4)
    assert len(read(bytes(content))) == 8


def test_a_recording_that_knew_no_length_is_no_damage() -> None:
    content = bytearray(clip_bytes(LOOP, ".mkv"))
    place = content.index(b"\x18S\x80g") + 4
    assert content[place] == 1
    content[place + 1 : place + 8] = b"\xff" * 7
    assert len(read(bytes(content))) == 8


def test_the_name_of_a_clip_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("tcp:localhost:1.mp4")
    path.write_bytes(clip_bytes(LOOP))
    assert len(list(read_frames(path))) == 8
