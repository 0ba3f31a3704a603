"""Case tables: forms that are accepted, and faults that are listed."""

import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import Write
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scan_files import PLANTED, dicom_bytes, regions, saved, scan_image, with_a_patient

from breast_ultrasound.cases.ids import is_safe
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.pictures import decode
from breast_ultrasound.cases.raw import Case, read_cases, read_merged_mask, write_table
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.case_rows import read_rows
from breast_ultrasound.sources.case_table import copy_table

HEAD = "image,masks,class,id,patient,mm_per_pixel"


def table(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "cases.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def taken(source: Path, target: Path) -> list[Case]:
    target.mkdir()
    write_table(target, copy_table(source, target))
    return read_cases(target)


def refused(source: Path, target: Path) -> str:
    target.mkdir()
    with pytest.raises(UserError) as refusal:
        copy_table(source, target)
    return str(refusal.value)


def shape(top: int, left: int) -> NDArray[np.uint8]:
    """A mask 0/255 of 40×60 pixels with an L."""
    mask = np.zeros((40, 60), np.uint8)
    mask[top : top + 12, left : left + 5] = mask[top + 8 : top + 12, left : left + 15] = 255
    return mask


@pytest.fixture
def pictures(write: Write, tmp_path: Path) -> Path:
    """Two images of 40×60 pixels, two masks of the first, an empty one and one of another size."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write(f"own/{name}.png", rng.integers(1, 255, (40, 60), dtype=np.uint8))
    write("own/m/1.png", shape(3, 4))
    write("own/m/2.png", shape(20, 30))
    write("own/m/empty.png", np.zeros((40, 60), np.uint8))
    write("own/m/small.png", np.zeros((40, 61), np.uint8))
    return tmp_path / "own"


def test_images_masks_and_what_is_recorded_of_them_are_taken_over(pictures: Path, tmp_path: Path) -> None:
    source = table(pictures, "b.png,,normal,,,", "a.png,m/1.png; m/2.png,malignant,left 1,P7,0.08")
    cancer, normal = taken(source, tmp_path / "raw")
    assert (cancer.id, cancer.cls, cancer.patient, cancer.mm_per_pixel) == (
        "left 1",
        "malignant",
        "P7",
        0.08,
    )
    assert (normal.id, normal.cls, normal.patient, normal.mm_per_pixel) == ("b", "normal", "", None)
    assert np.array_equal(read_grey(cancer.image), read_grey(pictures / "a.png"))
    for path, expected in zip(cancer.masks, (shape(3, 4), shape(20, 30)), strict=True):
        assert np.array_equal(decode(path, cv2.IMREAD_GRAYSCALE), expected)
    assert np.array_equal(read_merged_mask(cancer, 40, 60), (shape(3, 4) | shape(20, 30)) > 0)
    assert not read_merged_mask(normal, 40, 60).any()


def test_what_was_taken_over_is_itself_a_case_table(pictures: Path, tmp_path: Path) -> None:
    first = taken(table(pictures, "a.png,m/1.png;m/2.png,lesion,,P7,0.08", "b.png,,normal,007,,"), tmp_path / "one")
    again = taken(tmp_path / "one" / "cases.csv", tmp_path / "two")
    assert [case.id for case in again] == [case.id for case in first] == ["a", "007"]
    roots = (tmp_path / "one", tmp_path / "two")
    files = [sorted(path.relative_to(root) for path in root.rglob("*.*")) for root in roots]
    assert files[0] == files[1]
    assert all((roots[0] / file).read_bytes() == (roots[1] / file).read_bytes() for file in files[0])


def test_the_order_of_the_lines_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    lines = ["a.png,m/1.png,lesion,s (10),,", "b.png,m/2.png,lesion,s (9),,"]
    for name, order in (("one", 1), ("two", -1)):
        assert [case.id for case in taken(table(pictures, *lines[::order]), tmp_path / name)] == ["s (9)", "s (10)"]


def coco(folder: Path, *segmentations: Any, **image: Any) -> Path:
    """A COCO file that outlines lesions of a.png, and has an entry for b.png without any."""
    images = [{"id": 1, "file_name": "a.png", "height": 40, "width": 60, **image}]
    images.append({"id": 2, "file_name": "shots/b.png", "height": 40, "width": 60})
    annotations = [{"id": n, "image_id": 1, "category_id": 1, "segmentation": s} for n, s in enumerate(segmentations)]
    path = folder / "outlines.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return path


def outline(top: int, left: int) -> list[float]:
    """The corners of `shape`."""
    corners = [(0, 0), (5, 0), (5, 8), (15, 8), (15, 12), (0, 12)]
    return [float(at) for x, y in corners for at in (left + x, top + y)]


def run_lengths(mask: NDArray[np.uint8]) -> list[int]:
    """Lengths of runs down the columns, of 0 first."""
    flat = np.concatenate([[0], mask.ravel(order="F") > 0, [2]]).astype(int)
    starts = np.flatnonzero(np.diff(flat)).tolist()
    return np.diff([0, *starts]).tolist()


def packed(mask: NDArray[np.uint8]) -> dict[str, Any]:
    encoded: Any = coco_mask.encode(np.asfortranarray(mask > 0).astype(np.uint8, order="F"))
    return {"size": [40, 60], "counts": encoded["counts"].decode()}


FORMS: dict[str, Callable[[int, int], Any]] = {
    "polygons": lambda top, left: [outline(top, left)],
    "run lengths": lambda top, left: {"size": [40, 60], "counts": run_lengths(shape(top, left))},
    "packed run lengths": lambda top, left: packed(shape(top, left)),
}


@pytest.mark.parametrize("form", FORMS)
def test_outlines_of_a_coco_file_are_the_same_as_masks(form: str, pictures: Path, tmp_path: Path) -> None:
    coco(pictures, FORMS[form](3, 4), FORMS[form](20, 30))
    drawn = taken(table(pictures, "a.png,outlines.json,lesion,,,", "b.png,outlines.json,normal,,,"), tmp_path / "drawn")
    given = taken(table(pictures, "a.png,m/1.png;m/2.png,lesion,,,", "b.png,,normal,,,"), tmp_path / "given")
    for one, other in zip(drawn, given, strict=True):
        assert [path.read_bytes() for path in one.masks] == [path.read_bytes() for path in other.masks]


def test_an_outline_is_of_the_image_that_was_uploaded_to_label_studio(pictures: Path, tmp_path: Path) -> None:
    coco(pictures, [outline(3, 4)], file_name="../upload/1/0123abcd-a.png")
    [drawn] = taken(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "drawn")
    assert np.array_equal(decode(drawn.masks[0], cv2.IMREAD_GRAYSCALE), shape(3, 4))


FAULTS = {
    "a file that is missing": ("d.png,m/1.png,benign,,,", r"d\.png: cannot be read \(No such file"),
    "a mask that is missing": ("a.png,m/9.png,benign,,,", r"m/9\.png: cannot be read"),
    "a mask of another size": ("a.png,m/small.png,benign,,,", "a mask is of 61×40 pixels, its image of 60×40"),
    "an unknown class": ("a.png,m/1.png,Cyst,,,", "class 'Cyst' is none of benign, malignant, normal, lesion"),
    "no class": ("a.png,m/1.png,,,,", "class '' is none of"),
    "a normal image with a lesion": ("a.png,m/1.png,normal,,,", "filed as normal, but its mask shows a lesion"),
    "a lesion without a mask": ("a.png,,benign,,,", "filed as benign, but names no mask"),
    "a path that leads outside": ("../a.png,m/1.png,benign,,,", r"\.\./a\.png: leads outside"),
    "an absolute path": ("a.png,/etc/passwd,benign,,,", "/etc/passwd: leads outside"),
    "a way out and in again": ("m/../b.png,m/1.png,benign,,,", r"m/\.\./b\.png: leads outside"),
    "a path of Windows": ("C:\\a.png,m/1.png,benign,,,", "C:/a.png: leads outside"),
    "an image that is none": ("notes.txt,m/1.png,benign,,,", r"notes\.txt: not a readable image"),
    "no image": (",m/1.png,benign,x,,", "names no image"),
    "an id with a slash": ("a.png,m/1.png,benign,a/b,,", "the id 'a/b' can't be a file's name"),
    "an id that looks like a mask": ("a.png,m/1.png,benign,a_mask_1,,", "can't be a file's name"),
    "an id that Windows keeps": ("a.png,m/1.png,benign,nul,,", "can't be a file's name"),
    "a length that is none": ("a.png,m/1.png,benign,,,0", "mm_per_pixel '0' is no number above 0"),
    "a patient that is a formula": ("a.png,m/1.png,benign,,=1+1,", "a spreadsheet would compute"),
    "more cells than columns": ("a.png,m/1.png,benign,,,,x", "more cells than the first line"),
    # As where a comma is lost, and the cells after it belong to other columns.
    "fewer cells than columns": ("a.png,m/1.png,benign,P1", "fewer cells than the first line"),
    "a COCO file without the image": ("c.png,outlines.json,lesion,,,", r"outlines\.json: has no entries for c\.png"),
    "a COCO file with nothing in it": ("b.png,outlines.json,lesion,,,", "outlines nothing in it"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_listed_by_line_number(name: str, pictures: Path, tmp_path: Path) -> None:
    (pictures / "notes.txt").write_text("none")
    shutil.copyfile(pictures / "a.png", pictures / "c.png")
    coco(pictures, [outline(3, 4)])
    line, expected = FAULTS[name]
    message = refused(table(pictures, "m/1.png,,normal,first,,", line), tmp_path / "raw")
    assert re.search(rf"faults: 1\nline 3: .*{expected}", message), message


def test_all_faults_are_listed_at_once(pictures: Path, tmp_path: Path) -> None:
    lines = ["a.png,m/8.png;m/9.png,Cyst,a,,x", "b.png,,normal,A,,", "m/../a.png,m/1.png,benign,c,,"]
    message = refused(table(pictures, *lines), tmp_path / "raw").splitlines()
    assert [line.split(":")[0] for line in message[1:]] == ["line 2"] * 4 + ["line 3", "line 4", "line 4"]
    assert message[5] == "line 3: the id A is already in line 2."
    assert message[7] == "line 4: the image m/../a.png is already in line 2."


def square_pixels(*corners: tuple[int, int, int, int], sides: tuple[float, float] = (0.01, 0.01)) -> dict[str, Any]:
    """Tags that record a region of tissue, whose pixels have sides in centimetres."""
    [region] = regions(*corners)
    region.PhysicalDeltaY, region.PhysicalDeltaX = sides
    return {"SequenceOfUltrasoundRegions": [region]}


def test_of_a_dicom_file_the_region_of_tissue_is_taken_and_its_masks_belong_to_the_whole_frame(
    pictures: Path, write: Write, tmp_path: Path
) -> None:
    (pictures / "scan.dcm").write_bytes(dicom_bytes([scan_image(60, 90)], **square_pixels((10, 5, 69, 44))))
    whole = np.zeros((60, 90), np.uint8)
    whole[30:50, 20:40] = 255
    write("own/whole.png", whole)
    [case] = taken(table(pictures, "scan.dcm,whole.png,lesion,,,"), tmp_path / "raw")
    assert np.array_equal(read_grey(case.image), scan_image(60, 90)[5:45, 10:70])
    assert np.array_equal(read_merged_mask(case, 40, 60), whole[5:45, 10:70] > 0)
    assert case.mm_per_pixel == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("sides", "column", "expected"),
    [((0.01, 0.01), "0.07", 0.07), ((0.01, 0.01005), "", 0.10025), ((0.01, 0.02), "", None), ((0.0, 0.01), "", None)],
    ids=["the table wins", "nearly square", "not square", "not recorded"],
)
def test_the_size_of_a_pixel_is_that_of_the_table_or_else_of_a_dicom_file_with_square_ones(
    sides: tuple[float, float], column: str, expected: float | None, tmp_path: Path
) -> None:
    (tmp_path / "scan").write_bytes(dicom_bytes([scan_image()], **square_pixels((0, 0, 89, 59), sides=sides)))
    [case] = taken(table(tmp_path, f"scan,,normal,,,{column}"), tmp_path / "raw")
    assert case.mm_per_pixel == pytest.approx(expected)


DICOM_FAULTS = {
    "several frames": ("loop.dcm,,normal,,,", r"loop\.dcm: holds 3 frames, a row is one image"),
    "a mask of the region": ("scan.dcm,m/1.png,lesion,,,", "a mask is of 60×40 pixels, its image of 90×60"),
    "a lesion beside the region": ("scan.dcm,two.png,lesion,,,", "a mask shows a lesion outside the region"),
    "a damaged file": ("damaged.dcm,,normal,,,", r"damaged\.dcm: not a readable DICOM object"),
}


@pytest.mark.parametrize("name", DICOM_FAULTS)
def test_a_fault_of_a_dicom_file_is_listed_by_line_number(
    name: str, pictures: Path, write: Write, tmp_path: Path
) -> None:
    scan = dicom_bytes([scan_image(60, 90)], **square_pixels((10, 5, 69, 44)))
    (pictures / "scan.dcm").write_bytes(scan)
    (pictures / "damaged.dcm").write_bytes(scan[:-100])
    (pictures / "loop.dcm").write_bytes(dicom_bytes([scan_image(60, 90)] * 3))
    two = np.zeros((60, 90), np.uint8)
    two[10:20, 20:40] = two[50:55, 20:40] = 255
    write("own/two.png", two)
    line, expected = DICOM_FAULTS[name]
    message = refused(table(pictures, "a.png,m/1.png,lesion,,,", line), tmp_path / "raw")
    assert re.search(rf"faults: 1\nline 3: .*{expected}", message), message


def test_nothing_that_a_dicom_file_says_of_a_patient_is_kept_or_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = saved(with_a_patient([scan_image()], PixelSpacing=[0.1, 0.1]))
    (tmp_path / "whole.dcm").write_bytes(whole)
    (tmp_path / "broken.dcm").write_bytes(whole[:-100])
    taken(table(tmp_path, "whole.dcm,,normal,,,"), tmp_path / "raw")
    message = refused(table(tmp_path, "whole.dcm,,normal,,,", "broken.dcm,,normal,,,"), tmp_path / "refused")
    written = [path.read_bytes() for path in (tmp_path / "raw").rglob("*.*")]
    assert len(written) == 3
    for text in (*written, message.encode(), caplog.text.encode(), "".join(capfd.readouterr()).encode()):
        assert not any(planted in text for planted in PLANTED)


def test_a_broken_coco_file_is_named_once(pictures: Path, tmp_path: Path) -> None:
    (pictures / "outlines.json").write_text('{"images": [], "annotations": [{"image_id": 1, "segmentation": []}]}')
    lines = ["a.png,outlines.json,lesion,,,", "b.png,outlines.json,lesion,,,"]
    message = refused(table(pictures, *lines), tmp_path / "raw")
    assert "faults: 1\n" in message
    assert "line 2: outlines.json: is not a COCO file with outlines: annotations.0.segmentation" in message


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 9, 1, 9, 9, 4]],
        *([[corner, 1, 9, 1, 9, 9]] for corner in (float("nan"), float("inf"), 1e300, -1e8, 2**31)),
        *({"size": [40, 60], "counts": counts} for counts in ([5], [], [2**70], "", "5", "zzzz", "a\0")),
        {"size": [60, 40], "counts": [2400]},
        {"size": [2**31, 2**31], "counts": [2**62]},
    ],
    ids=repr,
)
def test_an_outline_that_cannot_be_drawn_is_named(segmentation: Any, pictures: Path, tmp_path: Path) -> None:
    coco(pictures, segmentation)
    assert "line 2: outlines.json: has " in refused(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "raw")


def test_outlines_on_a_grid_of_another_size_are_named(pictures: Path, tmp_path: Path) -> None:
    coco(pictures, [outline(3, 4)], width=61)
    message = refused(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "raw")
    assert "has a.png at 61×40 pixels, it has 60×40" in message


@pytest.mark.parametrize("mask", ["a.png", "also.png", "shots/a.png"])
def test_an_image_as_its_own_mask_is_named_by_whatever_path(mask: str, pictures: Path, tmp_path: Path) -> None:
    (pictures / "also.png").symlink_to("a.png")
    (pictures / "shots").symlink_to(".")
    assert "line 2: names its image as its mask" in refused(
        table(pictures, f"a.png,{mask},lesion,,,"), tmp_path / "raw"
    )


@pytest.mark.parametrize("side", [0, -40, 2**31, 10**30])
def test_an_entry_of_another_size_than_its_image_is_named(side: int, pictures: Path, tmp_path: Path) -> None:
    coco(pictures, [outline(3, 4)], height=side, width=side)
    message = refused(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "raw")
    assert f"has a.png at {side}×{side} pixels, it has 60×40" in message


def test_more_lesions_than_any_image_has_are_named(pictures: Path, tmp_path: Path) -> None:
    coco(pictures, *[[outline(3, 4)]] * 1001)
    message = refused(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "raw")
    assert "has 1001 annotations of a.png, more than 1000" in message


def with_ids(folder: Path, *ids: Any, of_annotation: Any) -> None:
    """A COCO file of a.png and b.png with these ids, and a lesion."""
    images = [
        {"id": number, "file_name": name, "height": 40, "width": 60}
        for number, name in zip(ids, ("a.png", "b.png"), strict=True)
    ]
    lesion = {"image_id": of_annotation, "segmentation": [outline(3, 4)]}
    (folder / "outlines.json").write_text(json.dumps({"images": images, "annotations": [lesion]}))


@pytest.mark.parametrize(
    ("ids", "of_annotation", "expected"),
    [
        ((1, 1), 1, "has the image id 1 2 times, first of a.png"),
        ((1, 2), 3, "has no image of the id 3, that of annotations.0.image_id"),
        ((1, 2), "1", "has no image of the id '1'"),
        ((0, True), 1, "true and false are no numbers"),
    ],
    ids=["repeated", "of no image", "text for a number", "a switch"],
)
def test_ids_of_a_coco_file_that_contradict_each_other_are_refused(
    ids: tuple[Any, Any], of_annotation: Any, expected: str, pictures: Path, tmp_path: Path
) -> None:
    with_ids(pictures, *ids, of_annotation=of_annotation)
    assert expected in refused(table(pictures, "a.png,outlines.json,lesion,,,"), tmp_path / "raw")


NAMES = {
    "backslashes": ("shots/Brüst é.png", "shots\\Brüst é.png"),
    "percent": ("shots/Brüst é.png", "shots/Br%C3%BCst%20%C3%A9.png"),
    "percent, without the folder": ("shots/Brüst é.png", "Br%C3%BCst%20%C3%A9.png"),
    "decomposed in the file": ("shots/Brüst é.png", unicodedata.normalize("NFD", "shots/Brüst é.png")),
    "decomposed on disk": (unicodedata.normalize("NFD", "shots/Brüst é.png"), "shots/Brüst é.png"),
    "percent on disk": ("shots/a%20b.png", "shots/a%20b.png"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_compared_as_people_read_them(name: str, pictures: Path, tmp_path: Path) -> None:
    on_disk, written = NAMES[name]
    (pictures / "shots").mkdir()
    shutil.copyfile(pictures / "a.png", pictures / on_disk)
    coco(pictures, [outline(3, 4)], file_name=written)
    in_table = unicodedata.normalize("NFC", on_disk)
    [case] = taken(
        table(pictures, f"{in_table},outlines.json,lesion,{'a' if '%' in on_disk else ''},,"), tmp_path / "raw"
    )
    assert case.id in ("Brüst é", "a")
    assert read_merged_mask(case, 40, 60).sum() == 100


def test_a_percent_sign_is_one_where_a_file_has_this_very_name(pictures: Path, tmp_path: Path) -> None:
    for name in ("a b.png", "a%20b.png"):
        shutil.copyfile(pictures / "a.png", pictures / name)
    coco(pictures, [outline(3, 4)], file_name="a%20b.png")
    message = refused(table(pictures, "a b.png,outlines.json,lesion,,,"), tmp_path / "raw")
    assert "has no entries for a b.png" in message


def test_data_that_are_links_to_a_store_are_taken(pictures: Path, tmp_path: Path) -> None:
    """As DVC, git-annex and DataLad keep them; images of the same bytes are one file there."""
    store = tmp_path / "store"
    pictures.rename(store)
    (pictures / "b").mkdir(parents=True)
    (pictures / "a.png").symlink_to(store / "a.png")
    (pictures / "b/again.png").symlink_to(store / "a.png")
    (pictures / "m").symlink_to(store / "m")
    cases = taken(table(pictures, "a.png,m/1.png,lesion,,,", "b/again.png,m/1.png,lesion,,,"), tmp_path / "raw")
    assert [case.id for case in cases] == ["a", "again"]


@pytest.mark.parametrize("patient", ["-", "-5", "P-1", "1=2"])
def test_names_that_spreadsheets_show_as_they_are_stay(patient: str, pictures: Path, tmp_path: Path) -> None:
    [case] = taken(table(pictures, f"a.png,m/1.png,lesion,,{patient},"), tmp_path / "raw")
    assert case.patient == patient


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEAD + "\n", "is empty"),
        ("image,masks,class, class\na.png,,normal,lesion\n", "has the column class twice"),
        (HEAD + "\na\0.png,,normal,,,\n", "holds a NUL"),
        (HEAD + ",a\0b\na.png,,normal,,,,\n", "holds a NUL"),
        ("", "lacks the columns image, masks, class"),
        ("image;masks;class\na;b;c\n", "lacks the columns image, masks, class; its first line is 'image;masks;class'"),
        (HEAD.encode("utf-16"), "not a table of comma-separated values in UTF-8"),
    ],
    ids=["no line", "a column twice", "NUL", "NUL in the first line", "nothing", "semicolons", "another encoding"],
)
def test_what_is_no_table_is_refused(content: str | bytes, expected: str, tmp_path: Path) -> None:
    source = tmp_path / "cases.csv"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    assert expected in refused(source, tmp_path / "raw")


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_rows(tmp_path / "cases.csv")


def test_a_table_as_spreadsheets_write_it_is_taken(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pictures / "cases.csv"
    source.write_bytes("\ufeffclass,masks,image,age\r\n lesion , m\\1.png ,a.png,50\r\n".encode())
    assert [case.id for case in taken(source, tmp_path / "raw")] == ["a"]
    assert "columns that are not used: age" in capsys.readouterr().out


@given(name=st.text("aZé1 .()+-_/\\*?[]:", min_size=1, max_size=6))
def test_every_id_that_is_accepted_is_a_file_and_a_pattern_for_it_alone(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if is_safe(name):
        folder = tmp_path_factory.mktemp("ids")
        (folder / f"{name}.png").touch()
        assert list(folder.glob(f"{name}.png")) == list(folder.iterdir())


def test_the_fold_of_an_image_is_kept_and_may_be_missing(pictures: Path, tmp_path: Path) -> None:
    source = table(pictures, "a.png,m/1.png,benign,3", "b.png,,normal,", head="image,masks,class,fold")
    assert [(case.id, case.fold) for case in taken(source, tmp_path / "one")] == [("a", 3), ("b", None)]
    assert [case.fold for case in taken(tmp_path / "one" / "cases.csv", tmp_path / "two")] == [3, None]


@pytest.mark.parametrize("fold", ["-1", "1.5", "test"])
def test_a_fold_that_is_no_whole_number_is_refused(fold: str, pictures: Path, tmp_path: Path) -> None:
    source = table(pictures, f"b.png,,normal,{fold}", head="image,masks,class,fold")
    assert f"line 2: fold {fold!r} is no whole number" in refused(source, tmp_path / "raw")
