"""The table that `cases` writes for folders as people have them, and that the pipeline takes it."""

import csv
import json
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Write, rectangle
from scan_files import dicom_bytes, scan_image

from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.commands import cases
from breast_ultrasound.scans import dicom_seg
from breast_ultrasound.sources.own_data import copy_own_data

Run = Callable[[], tuple[list[Case], str]]


@pytest.fixture
def command_on_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """Run the command on tmp_path/own, and return what it printed."""

    def run() -> str:
        monkeypatch.setattr(sys, "argv", ["cases", str(tmp_path / "own")])
        cases.main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def tabulated(tmp_path: Path, command_on_own: Callable[[], str]) -> Run:
    """Run the command on tmp_path/own; return the cases that the pipeline makes of its table, and what it printed."""

    def run() -> tuple[list[Case], str]:
        printed = command_on_own()
        (tmp_path / "raw").mkdir()
        return copy_own_data(tmp_path / "own", tmp_path / "raw", 1), printed

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
    "BUS-BRA": {
        "Images/bus_x.png": scan(),
        "Masks/mask_x.png": LESION,
        "Images/bus_y.png": scan(1),
        "Masks/mask_y.png": EMPTY,
    },
    "BrEaST": {"x.png": scan(), "x_tumor.png": LESION, "x_other1.png": EMPTY, "y.png": scan(1), "y_tumor.png": EMPTY},
    "TN3K": {
        "trainval-image/x.jpg": scan(),
        "trainval-mask/x.jpg": LESION,
        "test-image/y.jpg": scan(1),
        "test-mask/y.jpg": EMPTY,
    },
    "nnU-Net": {
        "imagesTr/x_0000.png": scan(),
        "labelsTr/x.png": LESION,
        "imagesTs/y_0000.png": scan(1),
        "labelsTs/y.png": EMPTY,
    },
    "VOC": {
        "JPEGImages/x.jpg": scan(),
        "SegmentationClass/x.png": LESION,
        "SegmentationObject/x.png": LESION,
        "JPEGImages/y.jpg": scan(1),
        "SegmentationClass/y.png": EMPTY,
        "SegmentationObject/y.png": EMPTY,
    },
}


@pytest.mark.parametrize("name", FOLDERS)
def test_images_and_masks_are_put_together(name: str, write: Write, tabulated: Run) -> None:
    for path, pixels in FOLDERS[name].items():
        write(f"own/{path}", pixels)
    rows, printed = tabulated()
    ids = {"BUS-BRA": ["bus_x", "bus_y"], "nnU-Net": ["x_0000", "y_0000"]}.get(name, ["x", "y"])
    assert {case.id: case.cls for case in rows} == dict(zip(ids, ["lesion", "normal"], strict=True))
    assert [len(case.masks) for case in rows] == [2 if name == "pairs" else 1, 1]
    assert "2 images: 1 lesion, 1 normal" in printed


def test_class_folders_give_the_class_and_the_same_names_become_different_ids(write: Write, tabulated: Run) -> None:
    for number, cls in enumerate(("benign", "malignant")):
        write(f"own/{cls}/images/1.png", scan(number))
        write(f"own/{cls}/masks/1.png", LESION)
    write("own/normal/images/2.png", scan(2))
    rows, _ = tabulated()
    ids = {"benign images 1": "benign", "malignant images 1": "malignant", "2": "normal"}
    assert {case.id: case.cls for case in rows} == ids


def test_dicom_files_are_images_whatever_their_name(write: Write, tabulated: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("x.dcm", "IM0001")):
        write(f"own/lesion/{name}_mask.png".replace(".dcm", ""), LESION)
        (tmp_path / "own/lesion" / name).write_bytes(dicom_bytes([scan_image(40, 60 + number)[:, :60]]))
    (tmp_path / "own/README").write_text("none")
    rows, printed = tabulated()
    assert sorted(case.id for case in rows) == ["IM0001", "x"]
    assert "2 images: 2 lesion" in printed


def test_dicom_segmentations_come_back_as_the_masks_of_the_files_that_they_refer_to(
    tabulated: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    corrected = {"left": LESION > 0, "right": (LESION > 0)[::-1]}
    for number, (name, mask) in enumerate(corrected.items(), start=1):
        (own / f"{name}.dcm").write_bytes(dicom_bytes([scan(number)], SOPInstanceUID=f"1.2.{number}"))
        # As a viewer saves it: under a name that says nothing of its image.
        dicom_seg.write(own / f"{number}-Segmentation.dcm", own / f"{name}.dcm", {1: mask}, None, "network")
    rows, printed = tabulated()
    assert "2 images: 2 lesion" in printed
    for case in rows:
        assert np.array_equal(read_merged_mask(case, 40, 60), corrected[case.id])


def test_a_dicom_segmentation_whose_image_is_not_there_is_printed(
    command_on_own: Callable[[], str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.dcm").write_bytes(dicom_bytes([scan()], SOPInstanceUID="1.2.3"))
    dicom_seg.write(own / "seg.dcm", own / "a.dcm", {1: LESION > 0}, None, "network")
    (own / "a.dcm").write_bytes(dicom_bytes([scan()], SOPInstanceUID="1.2.4"))
    assert "masks without an image: seg.dcm" in command_on_own()


def test_what_is_called_a_mask_and_has_no_image_is_an_image(write: Write, tabulated: Run) -> None:
    write("own/normal/left seg.png", scan())
    rows, _ = tabulated()
    assert [case.id for case in rows] == ["left seg"]


def test_images_without_a_mask_and_masks_without_an_image_are_printed(
    write: Write, command_on_own: Callable[[], str]
) -> None:
    write("own/images/x.png", scan())
    write("own/masks/z.png", LESION)
    printed = command_on_own()
    assert "1 images: 1 no class" in printed
    assert "images without a mask: images/x.png" in printed
    assert "masks without an image: masks/z.png" in printed


def test_a_table_that_is_there_is_left(write: Write, tmp_path: Path, command_on_own: Callable[[], str]) -> None:
    write("own/x.png", scan())
    (tmp_path / "own/cases.csv").write_text("mine")
    with pytest.raises(SystemExit, match="is there already"):
        command_on_own()
    assert (tmp_path / "own/cases.csv").read_text() == "mine"


def test_classes_and_patients_come_from_a_table_that_names_every_image(
    write: Write, tabulated: Run, tmp_path: Path
) -> None:
    for name in ("x", "y"):
        write(f"own/Images/bus_{name}.png", scan(len(name) + ord(name)))
        write(f"own/Masks/mask_{name}.png", LESION)
    lines = "ID,Case,Pathology,BIRADS", "bus_x,7,malignant,4", "bus_y,9,Benign,2", "bus_z,9,benign,2"
    (tmp_path / "own/bus_data.csv").write_text("\n".join(lines))
    (tmp_path / "own/a fold.csv").write_text("ID,Pathology\nbus_x,malignant\nbus_y,benign\n")
    (tmp_path / "own/others.csv").write_text("name,class\nsomething,benign\n")
    (tmp_path / "own/dataset.json").write_text('{"channel_names": {"0": "US"}}')
    rows, printed = tabulated()
    assert [(case.id, case.cls, case.patient) for case in rows] == [
        ("bus_x", "malignant", "7"),
        ("bus_y", "benign", "9"),
    ]
    assert "classes and patients are those of bus_data.csv" in printed


def test_masks_that_are_named_by_tasks_are_no_images(write: Write, command_on_own: Callable[[], str]) -> None:
    write("own/x.png", scan())
    write("own/task-1-annotation-2-by-3-tag-lesion-0.png", LESION)
    printed = command_on_own()
    assert "1 images" in printed
    assert "masks without an image: task-1-annotation-2-by-3-tag-lesion-0.png" in printed


def test_what_is_outlined_beside_the_lesions_is_left_out_and_named(
    write: Write, command_on_own: Callable[[], str]
) -> None:
    for path, pixels in FOLDERS["BrEaST"].items():
        write(f"own/{path}", pixels)
    printed = command_on_own()
    assert "left out, outlines of other things than the lesions: x_other1.png" in printed


def test_a_folder_that_is_not_there_is_named_as_such(command_on_own: Callable[[], str]) -> None:
    with pytest.raises(SystemExit, match=r"own: is no folder"):
        command_on_own()


def test_names_with_accents_are_paired_however_they_are_composed(write: Write, tabulated: Run) -> None:
    write("own/images/Brüst.png", scan())
    write("own/masks/" + unicodedata.normalize("NFD", "Brüst.png"), LESION)
    rows, _ = tabulated()
    assert [(case.id, case.cls) for case in rows] == [("Brüst", "lesion")]


def test_linked_folders_and_files_are_followed(write: Write, tabulated: Run, tmp_path: Path) -> None:
    write("store/img/x.png", scan())
    write("store/x.png", LESION)
    (tmp_path / "own/masks").mkdir(parents=True)
    (tmp_path / "own/images").symlink_to(tmp_path / "store/img")
    (tmp_path / "own/masks/x.png").symlink_to((tmp_path / "store/x.png").rename(tmp_path / "store/x"))
    rows, _ = tabulated()
    assert [(case.id, case.cls) for case in rows] == [("x", "lesion")]


def outlined(file: Path, image_ids: list[Any]) -> None:
    """A COCO file of x.png, whose id is 7, and y.png, with annotations of these ids."""
    images = [{"id": 7 + n, "file_name": f"{name}.png", "height": 40, "width": 60} for n, name in enumerate("xy")]
    annotations = [{"image_id": each, "segmentation": [[1, 1, 30, 1, 30, 30, 1, 30]]} for each in image_ids]
    file.write_text(json.dumps({"images": images, "annotations": annotations}))


def test_an_image_that_a_coco_file_outlines_holds_a_lesion(write: Write, tabulated: Run, tmp_path: Path) -> None:
    for number, name in enumerate("xy"):
        write(f"own/{name}.png", scan(number))
    outlined(tmp_path / "own/coco.json", [7])
    rows, _ = tabulated()
    assert {case.id: case.cls for case in rows} == {"x": "lesion", "y": "normal"}


def test_annotations_of_images_that_are_not_there_are_refused(
    write: Write, command_on_own: Callable[[], str], tmp_path: Path
) -> None:
    for number, name in enumerate("xy"):
        write(f"own/{name}.png", scan(number))
    outlined(tmp_path / "own/coco.json", ["7"])
    with pytest.raises(SystemExit, match=r"coco\.json: has no image of the id '7'"):
        command_on_own()


def test_nothing_in_the_table_is_a_formula(write: Write, command_on_own: Callable[[], str], tmp_path: Path) -> None:
    write("own/=1+1.png", scan())
    write("own/-1+1.png", scan())
    command_on_own()
    rows = list(csv.DictReader((tmp_path / "own/cases.csv").read_text().splitlines()))
    assert [(row["id"], row["image"]) for row in rows] == [("_1+1", "./-1+1.png"), ("_1+1", "./=1+1.png")]
    (tmp_path / "own/cases.csv").unlink()
    (tmp_path / "own/list.csv").write_text("name,class,patient\n=1+1.png,benign,@SUM(1)\n-1+1.png,benign,\n")
    with pytest.raises(SystemExit, match=r"list\.csv: patient '@SUM\(1\)' is what a spreadsheet would compute"):
        command_on_own()
