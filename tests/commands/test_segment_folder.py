"""The output folder of `segment`: who may write to it, what is done in it, and which masks may lie in it together."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, Write
from onnx_network import write_dark_network
from scan_files import clip_bytes, dicom_bytes

from breast_ultrasound.commands.segment import command as segment
from breast_ultrasound.commands.segment import running


@pytest.fixture
def folder(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small network and a scan."""
    write_dark_network(tmp_path / "dark.onnx")
    write("scan.png", scan_image())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan_image() -> np.ndarray:
    image = np.full((60, 90), 180, np.uint8)
    image[20:40, 30:60] = 20
    return image


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["segment", *arguments, "--model", "dark.onnx"])
    segment.main()


def rows() -> list[dict[str, object]]:
    return json.loads(Path("segmented/findings.json").read_text(encoding="utf-8"))


def made() -> list[str]:
    return sorted(path.name for path in Path("segmented").iterdir())


# One at a time


def test_a_folder_that_another_command_writes_to_is_refused_until_that_has_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "many").mkdir()
    for number in range(2000):
        (folder / f"many/{number:04}.png").hardlink_to("scan.png")
    command = (sys.executable, "-m", "breast_ultrasound.commands.segment.command", "many", "--model", "dark.onnx")
    first = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    while not list(folder.glob("segmented/[!.]*.png")):
        assert first.poll() is None
        time.sleep(0.01)
    with pytest.raises(SystemExit, match=rf"segmented: process {first.pid} .* writes to it"):
        run(monkeypatch, "scan.png")
    first.kill()
    first.wait()
    run(monkeypatch, "scan.png")
    assert {row["mask"] for row in rows()} == {path.name for path in folder.glob("segmented/*.png")}
    assert not list(folder.glob("segmented/.segment*"))


def test_a_mask_that_a_killed_command_was_writing_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "segmented").mkdir()
    (folder / "segmented/.partial-other_mask.png").write_bytes(b"half")
    run(monkeypatch, "scan.png")
    assert {row["mask"] for row in rows()} == {path.name for path in folder.glob("segmented/*.png")}


# What is done


def test_a_mask_without_its_findings_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scan.png")
    before = rows()
    Path("segmented/findings.json").write_text("[]\n")
    run(monkeypatch, "scan.png")
    assert rows() == before


def test_the_masks_of_a_clip_are_done_when_each_has_its_findings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("clip.avi").write_bytes(clip_bytes([scan_image(), scan_image()], ".avi"))
    run(monkeypatch, "clip.avi")
    before = rows()
    Path("segmented/findings.json").write_text(json.dumps(before[:1]))
    run(monkeypatch, "clip.avi")
    assert rows() == before


def test_a_mask_that_somebody_corrected_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scan.png")
    assert cv2.imwrite("segmented/scan_mask.png", np.zeros((60, 90), np.uint8))
    run(monkeypatch, "scan.png", "--coco", "--overlay")
    assert not np.asarray(cv2.imread("segmented/scan_mask.png")).any()
    overlay, scan = (np.asarray(cv2.imread(name)) for name in ("segmented/scan_overlay.png", "scan.png"))
    assert np.array_equal(overlay, scan)
    assert json.loads(Path("segmented/annotations.json").read_text())["annotations"] == []


def test_a_mask_of_another_size_than_its_scan_gets_no_overlay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scan.png")
    assert cv2.imwrite("segmented/scan_mask.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(SystemExit, match=r"segmented/scan_mask\.png: has another size than its scan"):
        run(monkeypatch, "scan.png", "--overlay")


def test_masks_that_are_not_of_this_command_are_not_overwritten(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write("segmented/scan_mask.png", np.zeros((2, 2), np.uint8)).read_bytes()
    with pytest.raises(SystemExit, match=r"segmented/scan_mask\.png: is there, and no findings\.json"):
        run(monkeypatch, "scan.png")
    assert Path("segmented/scan_mask.png").read_bytes() == own
    run(monkeypatch, "scan.png", "--overwrite")
    assert Path("segmented/scan_mask.png").read_bytes() != own


def test_an_overlay_that_is_asked_for_later_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("clip.avi").write_bytes(clip_bytes([scan_image(), scan_image()], ".avi"))
    run(monkeypatch, "scan.png", "clip.avi")
    before = rows()
    run(monkeypatch, "scan.png", "clip.avi", "--overlay")
    assert {"scan_overlay.png", "clip_overlay.mp4"} <= set(made())
    assert rows() == before
    stamps = {path: path.stat().st_mtime_ns for path in Path("segmented").rglob("*.png")}
    run(monkeypatch, "scan.png", "clip.avi", "--overlay")
    assert {path: path.stat().st_mtime_ns for path in Path("segmented").rglob("*.png")} == stamps


def test_annotations_and_segmentations_that_are_asked_for_later_are_made_of_what_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("one.dcm").write_bytes(dicom_bytes([scan_image()]))
    Path("loop.dcm").write_bytes(dicom_bytes([scan_image(), scan_image()]))
    run(monkeypatch, "scan.png", "one.dcm", "loop.dcm")
    stamp = Path("segmented/one_mask.png").stat().st_mtime_ns
    run(monkeypatch, "scan.png", "one.dcm", "loop.dcm", "--coco", "--dicom-seg")
    assert {"annotations.json", "one_seg.dcm", "loop_seg.dcm"} <= set(made())
    assert Path("segmented/one_mask.png").stat().st_mtime_ns == stamp


def test_a_segmentation_that_cannot_be_written_is_named_after_the_others_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.dcm").write_bytes(dicom_bytes([scan_image()], StudyInstanceUID=""))
    Path("b.dcm").write_bytes(dicom_bytes([scan_image()]))
    with pytest.raises(SystemExit, match=r"1 of 2 DICOM Segmentations could not be written:\na\.dcm: "):
        run(monkeypatch, "a.dcm", "b.dcm", "--dicom-seg")
    assert "masks of 2 scan(s) written" in capsys.readouterr().out
    assert Path("segmented/b_seg.dcm").exists()


# What may lie together


@pytest.mark.parametrize("before", [[], ["--threshold", "0.4"]])
def test_a_mixture_of_thresholds_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, before: list[str]) -> None:
    run(monkeypatch, "scan.png", *before)
    kept = rows()
    assert kept[0]["threshold"] == (0.4 if before else None)
    with pytest.raises(SystemExit, match=r"segmented/findings\.json: .*--output.*--overwrite"):
        run(monkeypatch, "scan.png", "--overlay", "--threshold", "0.3")
    assert rows() == kept
    run(monkeypatch, "scan.png", "--threshold", "0.3", "--overwrite")
    assert [row["threshold"] for row in rows()] == [0.3]


def test_a_mixture_is_refused_also_where_some_scans_are_overwritten(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("other.png", scan_image())
    run(monkeypatch, "scan.png", "other.png")
    with pytest.raises(SystemExit, match="the fitted post-processing"):
        run(monkeypatch, "scan.png", "--threshold", "0.3", "--overwrite")
    run(monkeypatch, "scan.png", "other.png", "--threshold", "0.3", "--overwrite")


def test_a_mixture_of_networks_is_refused(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scan.png")
    Path("dark.onnx").write_bytes(Path("dark.onnx").read_bytes() + b"\x1a\x00")
    write("other.png", scan_image())
    with pytest.raises(SystemExit, match="another network"):
        run(monkeypatch, "other.png")


def test_a_folder_that_holds_scans_takes_no_masks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"holds the scan scan\.png"):
        run(monkeypatch, "scan.png", "--output", ".")
    assert not Path("scan_mask.png").exists()


# Names and messages


def test_a_command_that_is_stopped_counts_what_it_has_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scan.png")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "follow", stop)
    with pytest.raises(SystemExit, match="stopped; 0 of 1 scans are done"):
        run(monkeypatch, "scan.png", "--overlay")


def test_no_table_is_named_where_no_scan_could_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("damaged.png").write_bytes(b"damaged")
    with pytest.raises(SystemExit, match="1 of 1 images could not be read"):
        run(monkeypatch, "damaged.png", "--coco", "--overlay")
    assert "findings" not in capsys.readouterr().out
    assert not Path("segmented").exists()


BAD_NAMES = {b"gr\xf6\xdfe.png": "not in UTF-8", b"x" * 247 + b".png": "too long"}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_kept_is_refused_and_the_others_are_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    Path("scans").mkdir()
    os.link("scan.png", b"scans/" + name)
    os.link("scan.png", "scans/z.png")
    for _ in range(2):
        with pytest.raises(SystemExit, match=rf"1 of 2 images could not be read:\n.*{BAD_NAMES[name]}"):
            run(monkeypatch, "scans", "--overlay")
        assert [row["image"] for row in rows()] == ["scans/z.png"]
    assert made() == ["findings.csv", "findings.json", "z_mask.png", "z_overlay.png"]


def test_control_characters_of_names_do_not_reach_the_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.link("scan.png", "red\x1b[31m.png")
    Path("bell\x07\x9b2J.png").write_bytes(b"damaged")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "red\x1b[31m.png", "bell\x07\x9b2J.png")
    printed = capsys.readouterr().out + str(end.value.code)
    assert not {"\x1b", "\x07", "\x9b"} & set(printed)
    assert "red\\x1b[31m.png" in printed
    assert "bell\\x07\\x9b2J.png" in printed


def test_a_name_that_a_spreadsheet_would_compute_is_kept_as_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.link("scan.png", "=cmd|'calc'!A0.png")
    run(monkeypatch, "=cmd|'calc'!A0.png")
    with Path("segmented/findings.csv").open(newline="", encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert row["image"] == "'=cmd|'calc'!A0.png"
    assert rows()[0]["image"] == "=cmd|'calc'!A0.png"
