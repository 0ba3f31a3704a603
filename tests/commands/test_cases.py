"""The table that `cases` writes for folders as people have them, and that the pipeline takes it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Write, rectangle
from scan_files import dicom_bytes, scan_image

from breast_ultrasound.cases.raw import Case
from breast_ultrasound.commands import cases
from breast_ultrasound.sources.custom import copy_custom

Run = Callable[[], tuple[list[Case], str]]


@pytest.fixture
def tabulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on tmp_path/own, and return what the pipeline makes of it and what was printed."""

    def run() -> tuple[list[Case], str]:
        monkeypatch.setattr(sys, "argv", ["cases", str(tmp_path / "own")])
        cases.main()
        printed = capsys.readouterr().out
        (tmp_path / "raw").mkdir()
        return copy_custom(tmp_path / "own", tmp_path / "raw", 1), printed

    return run


def scan(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(1, 255, (40, 60), dtype=np.uint8)


LESION, EMPTY = rectangle(40, 60, slice(5, 15)), rectangle(40, 60, slice(5, 15), empty=True)

FOLDERS = {
    "pairs": {"x.png": scan(), "x_mask.png": LESION, "x_mask_1.png": LESION, "y.png": scan(1), "y_mask.png": EMPTY},
    "images and masks": {
        "images/x.jpg": scan(),
        "masks/x.png": LESION,
        "images/y.png": scan(1),
        "masks/y_mask.png": EMPTY,
    },
    "folders within a set": {
        "train/img/x.png": scan(),
        "train/GT/x.png": LESION,
        "test/img/y.png": scan(1),
        "test/GT/y.png": EMPTY,
    },
}


@pytest.mark.parametrize("name", FOLDERS)
def test_images_and_masks_are_put_together(name: str, write: Write, tabulated: Run) -> None:
    for path, pixels in FOLDERS[name].items():
        write(f"own/{path}", pixels)
    found, printed = tabulated()
    assert {case.id: case.cls for case in found} == {"x": "lesion", "y": "normal"}
    assert {case.id: len(case.masks) for case in found} == {"x": 2 if name == "pairs" else 1, "y": 1}
    assert "2 images: 1 lesion, 1 normal" in printed


def test_class_folders_tell_the_class_and_the_same_names_become_different_ids(write: Write, tabulated: Run) -> None:
    for number, cls in enumerate(("benign", "malignant")):
        write(f"own/{cls}/images/1.png", scan(number))
        write(f"own/{cls}/masks/1.png", LESION)
    write("own/normal/images/2.png", scan(2))
    found, _ = tabulated()
    ids = {"benign images 1": "benign", "malignant images 1": "malignant", "2": "normal"}
    assert {case.id: case.cls for case in found} == ids


def test_dicom_files_are_images_whatever_their_name(write: Write, tabulated: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("x.dcm", "IM0001")):
        write(f"own/lesion/{name}_mask.png".replace(".dcm", ""), LESION)
        (tmp_path / "own/lesion" / name).write_bytes(dicom_bytes([scan_image(40, 60 + number)[:, :60]]))
    (tmp_path / "own/README").write_text("none")
    found, printed = tabulated()
    assert sorted(case.id for case in found) == ["IM0001", "x"]
    assert "2 images: 2 lesion" in printed


def test_what_is_called_a_mask_and_has_no_image_is_an_image(write: Write, tabulated: Run) -> None:
    write("own/normal/left seg.png", scan())
    found, _ = tabulated()
    assert [case.id for case in found] == ["left seg"]


def test_images_without_a_mask_and_masks_without_an_image_are_told(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("own/images/x.png", scan())
    write("own/masks/z.png", LESION)
    monkeypatch.setattr(sys, "argv", ["cases", str(tmp_path / "own")])
    cases.main()
    printed = capsys.readouterr().out
    assert "1 images: 1 no class" in printed
    assert "images without a mask: images/x.png" in printed
    assert "masks without an image: masks/z.png" in printed


def test_a_table_that_is_there_is_left(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("own/x.png", scan())
    (tmp_path / "own/cases.csv").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["cases", str(tmp_path / "own")])
    with pytest.raises(SystemExit, match="is there already"):
        cases.main()
    assert (tmp_path / "own/cases.csv").read_text() == "mine"
