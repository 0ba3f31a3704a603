"""Which scans `segment` takes of what it is given, and the names of their masks."""

from pathlib import Path

import pytest
from pydicom.uid import MediaStorageDirectoryStorage
from scan_files import dicom_bytes, dicom_object, picture_bytes, saved, scan_image

from breast_ultrasound.commands.segment.jobs import plan_jobs
from breast_ultrasound.pipeline.errors import UserError


def masks(*inputs: Path) -> dict[str, str]:
    """The names of the masks by those of the scans."""
    return {job.scan.name: job.mask.relative_to("out").as_posix() for job in plan_jobs(inputs, Path("out"))}


def test_scans_that_differ_in_suffix_alone_get_masks_of_different_names(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "b.png"):
        (tmp_path / name).write_bytes(picture_bytes(scan_image()))
    assert masks(tmp_path) == {"a.png": "a.png_mask.png", "a.tif": "a.tif_mask.png", "b.png": "b_mask.png"}


def test_scans_that_differ_in_folder_alone_get_masks_in_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "left" / "a.png", tmp_path / "right" / "a.png"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(picture_bytes(scan_image()))
    jobs = plan_jobs(paths, Path("out"))
    assert [job.mask.as_posix() for job in jobs] == ["out/left/a.png_mask.png", "out/right/a.png_mask.png"]


def test_dicom_files_named_by_numbers_keep_all_of_their_name(tmp_path: Path) -> None:
    for name in ("1.2.840.1", "1.2.840.2", "a.ima", "b.png"):
        content = picture_bytes(scan_image()) if name == "b.png" else dicom_bytes([scan_image()])
        (tmp_path / name).write_bytes(content)
    assert masks(tmp_path) == {
        "1.2.840.1": "1.2.840.1_mask.png",
        "1.2.840.2": "1.2.840.2_mask.png",
        "a.ima": "a_mask.png",
        "b.png": "b_mask.png",
    }


def test_dicom_objects_without_pixels_are_counted_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = dicom_object([scan_image()])
    for key in ("PixelData", "Rows", "Columns"):
        delattr(made, key)
    made.SOPClassUID = MediaStorageDirectoryStorage
    (tmp_path / "DICOMDIR").write_bytes(saved(made))
    (tmp_path / "IM1").write_bytes(dicom_bytes([scan_image()]))
    assert masks(tmp_path) == {"IM1": "IM1_mask.png"}
    assert "DICOM objects without pixels, such as reports, are left out: 1" in capsys.readouterr().out


def test_a_scan_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture_bytes(scan_image()))
    with pytest.raises(UserError, match="would overwrite another one"):
        plan_jobs([path, path], Path("out"))
