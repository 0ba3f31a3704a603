import stat
import zipfile
from pathlib import Path

import pytest

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.archive import extract


def pack(path: Path, *entries: zipfile.ZipInfo | str, content: bytes = b"content") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(entry, content)
    return path


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    extract(pack(tmp_path / "a.zip", "benign/one.png", "two.png"), tmp_path / "out", max_gib=1)
    assert (tmp_path / "out/benign/one.png").read_bytes() == b"content"


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("../out.png", "outside"),
        ("a/../../out.png", "outside"),
        ("/etc/out.png", "outside"),
        ("C:\\out.png", "outside"),
        ("..\\out.png", "outside"),
        (link("link.png"), "symbolic link"),
    ],
)
def test_an_entry_that_would_land_elsewhere_is_refused(
    tmp_path: Path, entry: zipfile.ZipInfo | str, expected: str
) -> None:
    archive = pack(tmp_path / "a.zip", "fine.png", entry)
    with pytest.raises(UserError, match=expected):
        extract(archive, tmp_path / "out", max_gib=1)
    assert not (tmp_path / "out").exists()


def test_more_than_the_limit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = pack(tmp_path / "bomb.zip", "big.png", content=bytes(3 * 2**20))
    assert archive.stat().st_size < 2**14
    with pytest.raises(UserError, match=r"more than data\.max_gib"):
        extract(archive, tmp_path / "out", max_gib=2 / 1024)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    archive = pack(tmp_path / "a.zip", "one.png", "two.png")
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"a\.zip: not a whole zip file"):
        extract(archive, tmp_path / "out", max_gib=1)


def test_damaged_content_is_refused_by_name(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", "one.png", content=bytes(range(256)) * 4)
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"a\.zip: not a whole zip file"):
        extract(archive, tmp_path / "out", max_gib=1)
