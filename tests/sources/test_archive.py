import stat
import unicodedata
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


def coded(path: Path, name: bytes) -> Path:
    """A zip with a file whose name has these bytes, and which does not say that they are UTF-8."""
    stand_in = "x" * len(name)
    pack(path, stand_in)
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name))
    return path


NAMES = {
    "of macOS": unicodedata.normalize("NFD", "Brüst é.png").encode(),
    "of Windows": "Brüst é.png".encode("cp1252"),
    "of DOS": "Brüst é.png".encode("cp437"),
}


@pytest.mark.parametrize("system", NAMES)
def test_names_of_other_systems_are_read(system: str, tmp_path: Path) -> None:
    extract(coded(tmp_path / "a.zip", NAMES[system]), tmp_path / "out", max_gib=1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Brüst é.png"]


def test_names_that_are_marked_as_utf_8_are_composed(tmp_path: Path) -> None:
    extract(pack(tmp_path / "a.zip", unicodedata.normalize("NFD", "ü/é.png")), tmp_path / "out", max_gib=1)
    assert (tmp_path / "out/ü/é.png").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a/x.png", "a/x.png"), ("a/x.png", "a/./x.png"), ("ü.png", "u\u0308.png")])
def test_the_same_name_twice_is_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="twice"):
        extract(pack(tmp_path / "a.zip", *names), tmp_path / "out", max_gib=1)
    assert not (tmp_path / "out").exists()


def without_name(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive, archive.open(zipfile.ZipInfo(""), "w") as file:
        file.write(b"content")
    return path


@pytest.mark.parametrize("name", [b"", b"a\0b.png"], ids=["no name", "NUL"])
def test_an_entry_without_a_proper_name_is_refused(name: bytes, tmp_path: Path) -> None:
    archive = coded(tmp_path / "a.zip", name) if name else without_name(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"a\.zip: "):
        extract(archive, tmp_path / "out", max_gib=1)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("content", [b"content", b"\xff" * 40])
def test_a_member_whose_code_is_broken_is_refused_by_name(method: int, content: bytes, tmp_path: Path) -> None:
    """The bytes are stored as they are, but called compressed."""
    pack_stored = tmp_path / "a.zip"
    with zipfile.ZipFile(pack_stored, "w") as archive:
        archive.writestr("one.png", content)
    damaged = bytearray(pack_stored.read_bytes())
    for start, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = damaged.index(start) + place
        damaged[at : at + 2] = method.to_bytes(2, "little")
    pack_stored.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match=r"a\.zip: not a whole zip file"):
        extract(pack_stored, tmp_path / "out", max_gib=1)
