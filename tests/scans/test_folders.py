"""Which files of a folder are scans."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from scan_files import dicom_bytes, dicom_object, picture_bytes, saved, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import list_scans, walk
from breast_ultrasound.scans.reading import open_scan, read_frames

PICTURE = picture_bytes(scan_image())


def without_pixels(sop_class: str) -> bytes:
    made = dicom_object([scan_image()])
    for key in ("PixelData", "Rows", "Columns"):
        delattr(made, key)
    made.SOPClassUID = sop_class
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return saved(made)


def test_dicom_objects_without_pixels_are_listed_apart(tmp_path: Path) -> None:
    (tmp_path / "IM1").write_bytes(dicom_bytes([scan_image()]))
    (tmp_path / "report.dcm").write_bytes(without_pixels(BasicTextSRStorage))
    (tmp_path / "DICOMDIR").write_bytes(without_pixels(MediaStorageDirectoryStorage))
    listing = list_scans(tmp_path)
    assert listing.scans == [tmp_path / "IM1"]
    assert listing.without_pixels == [tmp_path / "DICOMDIR", tmp_path / "report.dcm"]
    with pytest.raises(UserError, match="holds no pixels"), open_scan(tmp_path / "report.dcm", any_modality=True):
        pass


def test_a_damaged_dicom_file_is_a_scan_and_so_is_named(tmp_path: Path) -> None:
    (tmp_path / "IM1").write_bytes(dicom_bytes([scan_image()])[:200])
    assert list_scans(tmp_path).scans == [tmp_path / "IM1"]


def test_pipes_are_left_out_and_links_that_lead_nowhere_too(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(PICTURE)
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert list_scans(tmp_path).scans == [tmp_path / "scan.png"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "scan.png").write_bytes(PICTURE)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "own" / "itself").symlink_to(tmp_path / "own")
    assert list(walk(tmp_path / "own")) == [tmp_path / "own" / "linked" / "scan.png"]


def test_a_folder_of_results_is_left_out_by_whatever_name_it_goes(tmp_path: Path) -> None:
    for name in ("a.png", "results/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PICTURE)
    (tmp_path / "linked").symlink_to(tmp_path / "results")
    assert list_scans(tmp_path, left_out=tmp_path / "linked").scans == [tmp_path / "a.png"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in folder.iterdir():
            path.chmod(0o755)


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Go on as a user who may not read everything, whoever runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_an_unreadable_file_without_suffix_is_a_scan_that_is_named(open_folder: Path) -> None:
    (open_folder / "a.png").write_bytes(PICTURE)
    (open_folder / "IM1").write_bytes(b"")
    (open_folder / "IM1").chmod(0)
    with without_rights():
        listing = list_scans(open_folder)
    assert listing.scans == [open_folder / "IM1", open_folder / "a.png"]
    with pytest.raises(UserError, match=r"IM1: cannot be read \(Permission denied\)"), without_rights():
        list(read_frames(open_folder / "IM1"))


def test_an_unreadable_folder_is_named(open_folder: Path) -> None:
    (open_folder / "closed").mkdir(mode=0)
    with pytest.raises(UserError, match=r"closed: cannot be read \(Permission denied\)"), without_rights():
        list_scans(open_folder)
