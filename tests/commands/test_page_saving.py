"""What `page --save` writes: a case table that is whole at any moment, and that the pipeline takes."""

import csv
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import ROOT, attempt
from hypothesis import given
from hypothesis import strategies as st
from page_client import Served, drop, get, put, serve
from scan_files import PLANTED, clip_bytes, picture_bytes, regions, saved, scan_image, with_a_patient

from breast_ultrasound.cases.ids import case_id_of, is_safe
from breast_ultrasound.commands.page.case_folder import CaseFolder, Judgement
from breast_ultrasound.commands.page.edges import edges_of, mask_of
from breast_ultrasound.commands.segment.holding import held
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.scan import Frame, Region
from breast_ultrasound.sources.case_table import copy_table


def square(left: int, shape: tuple[int, int] = (60, 90)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[20:40, left : left + 10] = True
    return mask


def judgement(**changed: Any) -> Judgement:
    """A still that a person has accepted as it is, or with other values."""
    answer = Segmented(
        number=1,
        mm_per_pixel=None,
        mask=square(30),
        probability=np.zeros((60, 90), np.uint8),
        peak_probability=0.9,
        class_probabilities={"benign": 0.7, "malignant": 0.3},
        image_probability=1,
        predicted_dice=0.8,
        feature_distance=None,
        lesions=[],
    )
    frame = Frame.without_region(scan_image(), 1)
    return replace(Judgement("left", "", frame, square(30), "benign", answer, "0123"), **changed)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def black_and_white(path: Path) -> Mask:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) > 0


def test_what_was_kept_is_a_case_table_with_the_networks_answer(tmp_path: Path) -> None:
    cases = CaseFolder(tmp_path)
    cases.keep(judgement())
    other = replace(judgement().frame, whole=scan_image() + np.uint8(1))
    cases.keep(judgement(name="right", frame=other, mask=square(50), cls="malignant"))
    cases.keep(
        judgement(name="none", frame=Frame.without_region(scan_image() // 2, 1), mask=square(0) & False, cls="normal")
    )
    left, right, none = rows(tmp_path)
    assert (left["class"], left["verdict"], left["network_class"], left["predicted_dice"]) == (
        "benign",
        "accepted",
        "benign",
        "0.8000",
    )
    assert (right["class"], right["verdict"], none["masks"]) == ("malignant", "corrected", "")
    assert (black_and_white(tmp_path / right["masks"]) == square(50)).all()
    assert (black_and_white(tmp_path / right["network_mask"]) == square(30)).all()
    (tmp_path / "taken").mkdir()
    taken = copy_table(tmp_path / "cases.csv", tmp_path / "taken")
    assert [(case.id, case.cls) for case in taken] == [("left", "benign"), ("right", "malignant"), ("none", "normal")]
    assert (black_and_white(taken[1].masks[0]) == square(50)).all()


def test_a_case_that_is_kept_again_replaces_its_row_and_leaves_what_a_person_wrote(tmp_path: Path) -> None:
    CaseFolder(tmp_path).keep(judgement())
    table = (tmp_path / "cases.csv").read_text(encoding="utf-8")
    (tmp_path / "cases.csv").write_text(table.replace("left,,", "left,P1,", 1), encoding="utf-8")
    cases = CaseFolder(tmp_path)
    assert cases.count == 1
    cases.keep(judgement(name="another name", mask=square(40)))
    [row] = rows(tmp_path)
    assert (row["id"], row["patient"], row["verdict"]) == ("left", "P1", "corrected")
    assert len(list((tmp_path / "masks").iterdir())) == 1


def test_ids_differ_where_names_are_the_same(tmp_path: Path) -> None:
    cases = CaseFolder(tmp_path)
    for brightness in range(3):
        cases.keep(judgement(frame=Frame.without_region(scan_image() + np.uint8(brightness), 1)))
    assert [row["id"] for row in rows(tmp_path)] == ["left", "left (2)", "left (3)"]


def test_the_table_is_whole_where_writing_stops_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the command were killed before each of the files of a second, other verdict is in its place."""
    CaseFolder(tmp_path).keep(judgement())
    before = (tmp_path / "cases.csv").read_bytes()
    place = Path.replace
    for files in range(4):
        left = iter(range(files))

        def stop(path: Path, target: Path, left: Any = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return place(path, target)

        monkeypatch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            CaseFolder(tmp_path).keep(judgement(mask=square(50), cls="malignant"))
        monkeypatch.undo()
        assert (tmp_path / "cases.csv").read_bytes() == before
        [row] = rows(tmp_path)
        assert (black_and_white(tmp_path / row["masks"]) == square(30)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cls": "normal"}, "A normal image has no lesion"),
        ({"mask": square(30) & False}, "No lesion is marked, but the class is benign"),
        ({"mask": ~square(0) | True}, "covers all of the image"),
        ({"cls": "cyst"}, "'cyst' is none of"),
        ({"frame": Frame(scan_image(), 1, Region(0, 0, 60, 35), None)}, "reaches beyond"),
    ],
)
def test_what_is_no_case_is_not_kept(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CaseFolder(tmp_path).keep(judgement(**changed))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="holds files that the page has not written"):
        CaseFolder(tmp_path)
    (tmp_path / "cases.csv").write_text("image,masks,class\na.png,,normal\n", encoding="utf-8")
    with pytest.raises(UserError, match="is a table that the page has not written"):
        CaseFolder(tmp_path)


def test_all_files_that_are_missing_are_named(tmp_path: Path) -> None:
    CaseFolder(tmp_path).keep(judgement())
    [row] = rows(tmp_path)
    for name in (row["image"], row["masks"]):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"images/left.png, masks/left-\w{8}.png. Put them back"):
        CaseFolder(tmp_path)


@given(st.text())
def test_any_name_makes_an_id_that_the_pipeline_takes(name: str) -> None:
    assert is_safe(case_id_of(name))
    assert len(case_id_of(name).encode()) < 100


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_a_mask_is_that_of_its_edges(height: int, width: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.reshape(bits, (height, width))
    assert (mask_of(edges_of(mask), mask.shape) == mask).all()


@pytest.mark.parametrize("edges", [[1], [2, 1], [1, 1], [0, 7], [-1, 2], [0, 2, 1, 3]])
def test_edges_of_no_mask_are_refused(edges: list[int]) -> None:
    with pytest.raises(ValueError, match="edges do not rise"):
        mask_of(edges, (2, 3))


@pytest.fixture
def served(tmp_path: Path) -> Any:
    with serve(tmp_path / "model", tmp_path / "kept") as page:
        yield page


def keep(page: Served, key: str, number: int, mask: Mask, cls: str = "benign") -> Any:
    body = json.dumps({"class": cls, "edges": edges_of(mask)}).encode()
    return put(page.port, f"/scans/{key}/{number}/case", body, **{"Content-Type": "application/json"})


def test_a_frame_that_was_kept_is_recognised_by_its_pixels(served: Served) -> None:
    content = picture_bytes(scan_image())
    scan, frame = drop(served.port, "left.png", content)
    assert frame["kept"] is None
    assert json.loads(keep(served, scan["key"], 1, square(40)).body) == {
        "kept": {"class": "benign", "verdict": "corrected"},
        "count": 1,
    }
    again, frame = drop(served.port, "renamed.png", content)
    assert frame["kept"] == {"class": "benign", "verdict": "corrected"}
    assert json.loads(get(served.port, f"/scans/{again['key']}/1/case").body)["edges"] == edges_of(square(40))


def test_the_networks_own_mask_counts_as_accepted(served: Served) -> None:
    scan, _ = drop(served.port, "left.png", picture_bytes(scan_image()))
    answer = json.loads(get(served.port, f"/scans/{scan['key']}/1?threshold=0.5").body)
    reply = keep(served, scan["key"], 1, mask_of(answer["edges"], (60, 90)))
    assert json.loads(reply.body)["kept"]["verdict"] == "accepted"


def test_frames_of_a_clip_are_cases_of_one_patient(served: Served) -> None:
    loop = [np.roll(scan_image(64, 96), 5 * step, axis=1) for step in range(3)]
    scan, *_ = drop(served.port, "loop.mp4", clip_bytes(loop))
    for number in (1, 3):
        assert keep(served, scan["key"], number, square(30, (64, 96))).status == 200
    assert [(row["id"], row["patient"]) for row in rows(served.folder)] == [
        ("loop 00001", "loop"),
        ("loop 00003", "loop"),
    ]


def test_of_a_dicom_file_the_tissue_is_kept_and_no_patient(served: Served) -> None:
    content = saved(with_a_patient([scan_image()], SequenceOfUltrasoundRegions=regions((10, 5, 79, 54))))
    scan, frame = drop(served.port, "a.dcm", content)
    assert frame["region"] == {"top": 5, "left": 10, "height": 50, "width": 70}
    assert keep(served, scan["key"], 1, square(40)).status == 200
    [row] = rows(served.folder)
    image = np.asarray(cv2.imread(str(served.folder / row["image"]), cv2.IMREAD_UNCHANGED))
    assert (image == scan_image()[5:55, 10:80]).all()
    assert (black_and_white(served.folder / row["masks"]) == square(40)[5:55, 10:80]).all()
    written = b"".join(path.read_bytes() for path in served.folder.rglob("*.*") if path.is_file())
    assert not any(planted in written for planted in PLANTED)


def test_a_refusal_says_why(served: Served) -> None:
    scan, _ = drop(served.port, "left.png", picture_bytes(scan_image()))
    for reply, reason in (
        (keep(served, scan["key"], 1, square(30), "normal"), "A normal image has no lesion"),
        (keep(served, scan["key"], 1, square(30, (60, 900))), "the mask does not fit the frame"),
        (keep(served, "guess", 1, square(30)), "not on the page any more"),
    ):
        assert reply.status >= 400
        assert reason in json.loads(reply.body)["detail"]
    assert not (served.folder / "cases.csv").exists()


def test_another_site_keeps_nothing(served: Served) -> None:
    scan, _ = drop(served.port, "left.png", picture_bytes(scan_image()))
    assert put(served.port, f"/scans/{scan['key']}/1/case", b"{}", Origin="http://example.org").status == 403


def test_a_folder_that_another_page_holds_is_refused(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "breast_ultrasound.commands.page.command", "--port", "0", "--save", "kept")
    with held(tmp_path / "kept", "--save"):
        second = attempt(tmp_path, *command, PYTHONPATH=str(ROOT))
    assert second.returncode == 1
    assert f"kept: process {os.getpid()} on" in second.stderr
    assert "give another --save" in second.stderr
