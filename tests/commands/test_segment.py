import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import onnx
import pytest
from conftest import ROOT, Write, attempt
from highdicom.seg import segread
from onnx_network import write_dark_network
from PIL import ExifTags, Image
from pycocotools.coco import COCO
from pydicom import dcmread
from scan_files import dicom_bytes

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.commands.segment import command as segment
from breast_ultrasound.commands.segment import jobs
from breast_ultrasound.exporting.conversion import write_onnx
from breast_ultrasound.inference import choice
from breast_ultrasound.inference.card import Card
from breast_ultrasound.network.ensemble import ensemble_mean

CARD = Card(
    name="dark",
    data="busi",
    folds=(0,),
    size=32,
    mirror=True,
    classes=("benign", "malignant", "normal"),
    postprocess=Postprocessing().to_json(),
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported network that takes dark pixels for lesion: one convolution with set weights."""
    grey = keras.Input((32, 32, 1))
    dark = keras.layers.Rescaling(-0.2, offset=20)(grey)
    logits = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="logits")(dark)
    pooled = keras.layers.GlobalAveragePooling2D()(dark)
    classes = keras.layers.Dense(3, kernel_initializer="zeros", name="classes")(pooled)
    model = keras.Model(grey, {"logits": logits, "classes": classes})
    path = tmp_path_factory.mktemp("network") / "dark.onnx"
    write_onnx(ensemble_mean([model], mirror=True, temperature=1.0), CARD, half=True, path=path)
    return path


@pytest.fixture
def checkout(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the network of a run on BUSI, as the pipeline leaves it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "attention-unet.onnx").write_bytes(network.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["segment", *arguments])
    segment.main()


def scan_image(height: int = 60, width: int = 90) -> np.ndarray:
    image = np.full((height, width), 180, np.uint8)
    image[20:40, 30:60] = 20
    return image


def clean_image() -> np.ndarray:
    image = np.full((60, 90), 180, np.uint8)
    image[:, ::2] = 200
    return image


def test_the_mask_has_the_size_of_the_image_white_lesion_and_black_ground(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    mask = np.asarray(cv2.imread("segmented/scan_mask.png", cv2.IMREAD_UNCHANGED))
    assert mask.shape == (60, 90)
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask > 0) ^ (scan_image() < 100)).mean() < 0.03
    overlay = np.asarray(cv2.imread("segmented/scan_overlay.png", cv2.IMREAD_COLOR))
    assert overlay.shape == (60, 90, 3)
    assert (overlay[..., 0] != overlay[..., 2]).any()


def test_a_folder_keeps_its_structure_and_its_masks_and_system_files_are_left_out(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scans/a/one.png", "scans/a/one_mask.png", "scans/b/one.png", "scans/two.bmp", "scans/two_mask_1.png"):
        write(name, scan_image())
    for name in ("scans/._two.png", "scans/__MACOSX/three.png"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_bytes(b"left by the system")
    run(monkeypatch, "scans", "--output", "masks")
    assert sorted(str(path.relative_to("masks")) for path in Path("masks").rglob("*.png")) == [
        "a/one_mask.png",
        "b/one_mask.png",
        "two_mask.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.png"], "nothing.png: does not exist"),
        (["empty"], "empty: holds no image"),
        (["scan.png", "--output", "."], ".: holds the scan scan.png"),
        (["damaged.png"], "damaged.png: not a readable image"),
        (["scan.png", "--model", "other.onnx"], "other.onnx: does not exist"),
        (["scan.png", "--model", "scan.png"], "scan.png: not an exported network"),
        (["scan.png", "--model", "damaged.onnx"], "damaged.onnx: not a network that OpenVINO can read"),
        (["scan.png", "--device", "GPU"], "--device GPU: OpenVINO has no such device"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    write("scan.png", scan_image())
    write("other/scan.png", scan_image())
    (checkout / "empty").mkdir()
    for name in ("damaged.png", "damaged.onnx"):
        (checkout / name).write_bytes(b"damaged")
    before = sorted(checkout.rglob("*"))
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert message in str(end.value.code)
    assert sorted(checkout.rglob("*")) == before


def test_a_mask_is_replaced_only_when_asked(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("scan.png", scan_image())
    run(monkeypatch, "scan.png")
    earlier = write("segmented/scan_mask.png", np.zeros((2, 2), np.uint8))
    run(monkeypatch, "scan.png")
    assert "stay as they are: 1; --overwrite" in capsys.readouterr().out
    assert np.asarray(cv2.imread(str(earlier))).shape == (2, 2, 3)
    run(monkeypatch, "scan.png", "--overwrite")
    assert np.asarray(cv2.imread(str(earlier))).shape == (60, 90, 3)


def test_the_mask_of_a_turned_photograph_lies_as_viewers_show_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = Image.Exif()
    tag[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.rot90(scan_image())).save("scan.jpg", exif=tag)
    run(monkeypatch, "scan.jpg")
    mask = np.asarray(cv2.imread("segmented/scan_mask.png", cv2.IMREAD_UNCHANGED))
    assert ((mask > 0) ^ (scan_image() < 100)).mean() < 0.03


def test_images_that_cannot_be_read_are_named_after_the_others_are_done(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b", "d"):
        write(f"scans/{name}.png", scan_image())
    for name in ("a", "c"):
        (checkout / "scans" / f"{name}.png").write_bytes(b"damaged")
    with pytest.raises(SystemExit, match=r"2 of 4 images(?s:.*)a\.png: not a readable(?s:.*)c\.png: not a readable"):
        run(monkeypatch, "scans")
    assert masks() == ["b_mask.png", "d_mask.png"]


def test_a_second_run_does_what_the_first_could_not(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.png", scan_image())
    (checkout / "b.png").write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        run(monkeypatch, ".", "--overlay")
    done = (checkout / "segmented" / "a_mask.png").stat()
    write("b.png", scan_image())
    run(monkeypatch, ".", "--overlay")
    assert masks() == ["a_mask.png", "a_overlay.png", "b_mask.png", "b_overlay.png"]
    assert (checkout / "segmented" / "a_mask.png").stat() == done


def masks() -> list[str]:
    return sorted(path.name for path in Path("segmented").glob("*.png"))


@pytest.mark.parametrize("arguments", [["--overwrite"], []])
def test_no_overlay_of_an_earlier_run_stays_beside_a_new_mask(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    if not arguments:
        (checkout / "segmented" / "scan_mask.png").unlink()
    run(monkeypatch, "scan.png", *arguments)
    assert masks() == ["scan_mask.png"]


def test_no_picture_of_an_earlier_run_stays_where_the_image_cannot_be_read_any_more(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    scan.write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        run(monkeypatch, "scan.png", "--overwrite")
    assert masks() == []


def findings() -> list[dict[str, str]]:
    with Path("segmented/findings.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_findings_have_a_row_for_each_lesion_and_one_for_a_clean_image(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = scan_image()
    two[5:10, 70:75] = 20
    write("scans/two.png", two)
    write("scans/clean.png", clean_image())
    run(monkeypatch, "scans")
    assert [(row["mask"], row["lesion"]) for row in findings()] == [
        ("clean_mask.png", "0"),
        ("two_mask.png", "1"),
        ("two_mask.png", "2"),
    ]
    large = findings()[1]
    assert large["image"] == "scans/two.png"
    assert float(large["area"]) == pytest.approx(600, rel=0.1)
    assert float(large["longest"]) == pytest.approx(np.hypot(30, 20), rel=0.1)
    assert float(large["mean_probability"]) > 0.5
    assert float(large["p_benign"]) == pytest.approx(1 / 3, abs=1e-3)
    assert len(large["network"]) == 64
    rows = json.loads(Path("segmented/findings.json").read_text(encoding="utf-8"))
    assert rows[1]["area"] == float(large["area"])
    assert rows[0]["area"] is None


def test_findings_of_masks_that_were_there_stay(checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        run(monkeypatch, str(write(f"{name}.png", scan_image())))
    assert [row["mask"] for row in findings()] == ["a_mask.png", "b_mask.png"]
    (checkout / "segmented" / "a_mask.png").unlink()
    run(monkeypatch, "b.png", "--overwrite")
    assert [row["mask"] for row in findings()] == ["b_mask.png"]


def test_coco_holds_the_masks_as_they_are(checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("scans/a/one.bmp", scan_image())
    write("scans/clean.png", clean_image())
    run(monkeypatch, "scans", "--coco")
    read = COCO("segmented/annotations.json")
    assert [image["file_name"] for image in read.loadImgs(read.getImgIds())] == ["a/one.bmp", "clean.png"]
    (annotation,) = read.loadAnns(read.getAnnIds())
    mask = np.asarray(cv2.imread("segmented/a/one_mask.png", cv2.IMREAD_UNCHANGED))
    assert np.array_equal(read.annToMask(annotation) > 0, mask > 0)


def test_a_dicom_file_gets_the_mask_of_the_same_picture_and_a_segmentation_that_refers_to_it(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("picture.png", scan_image())
    Path("scan.dcm").write_bytes(dicom_bytes([scan_image()]))
    Path("loop.dcm").write_bytes(dicom_bytes([scan_image(), np.full_like(scan_image(), 180)]))
    run(monkeypatch, "picture.png", "scan.dcm", "loop.dcm", "--dicom-seg")
    mask = np.asarray(cv2.imread("segmented/picture_mask.png", cv2.IMREAD_UNCHANGED))
    assert np.array_equal(np.asarray(cv2.imread("segmented/scan_mask.png", cv2.IMREAD_UNCHANGED)), mask)
    for name in ("scan", "loop"):
        made, source = segread(f"segmented/{name}_seg.dcm"), dcmread(f"{name}.dcm")
        (study,) = made.StudiesContainingOtherReferencedInstancesSequence
        (reference,) = study.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert np.array_equal(np.squeeze(made.pixel_array) > 0, mask > 0)
    assert not Path("segmented/picture_seg.dcm").exists()


def test_a_clip_gives_a_folder_of_masks_and_a_video(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (90, 60))
    for _ in range(3):
        writer.write(cv2.cvtColor(scan_image(), cv2.COLOR_GRAY2BGR))
    writer.release()
    run(monkeypatch, "clip.avi", "--overlay")
    names = sorted(path.name for path in Path("segmented/clip_frames").iterdir())
    assert names == ["00001.png", "00002.png", "00003.png"]
    assert [(row["frame"], row["mask"]) for row in findings()] == [
        (str(number), f"clip_frames/{number:05}.png") for number in (1, 2, 3)
    ]
    assert cv2.VideoCapture("segmented/clip_overlay.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_a_clip_that_breaks_off_leaves_nothing_and_the_others_are_done(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("scans/b.png", scan_image())
    (checkout / "scans" / "a.avi").write_bytes(b"RIFF1234AVI damaged")
    with pytest.raises(SystemExit, match=r"1 of 2 images(?s:.*)a\.avi"):
        run(monkeypatch, "scans", "--overlay")
    assert sorted(path.name for path in Path("segmented").iterdir()) == [
        "b_mask.png",
        "b_overlay.png",
        "findings.csv",
        "findings.json",
    ]


def test_the_network_of_the_run_is_taken_unless_it_is_trained_on_phantoms(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("scan.png", scan_image())
    own, pretrained = checkout / "models/attention-unet.onnx", checkout / "package/attention-unet.onnx"
    monkeypatch.setattr(choice, "PRETRAINED", pretrained)

    def first_line() -> str:
        run(monkeypatch, "scan.png", "--overwrite")
        return capsys.readouterr().out.splitlines()[0]

    assert first_line() == "models/attention-unet.onnx: the network of this run, trained on busi."
    of_phantoms(own)
    assert "Trained on phantoms, it is of no use on real scans" in first_line()
    pretrained.parent.mkdir()
    pretrained.write_bytes(own.read_bytes())
    assert first_line() == (
        "attention-unet.onnx: the network that comes with the project, trained on phantom; "
        "the network of this run is trained on phantoms."
    )
    own.unlink()
    assert first_line().endswith("this run has exported no network.")
    pretrained.unlink()
    with pytest.raises(SystemExit, match="no such file"):
        run(monkeypatch, "scan.png", "--overwrite")


@pytest.mark.parametrize(("distance", "lines"), [(1.5, 1), (0.5, 0), (None, 0)])
def test_frames_that_lie_far_from_the_images_of_the_network_are_named(
    distance: float | None,
    lines: int,
    checkout: Path,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("scan.png", scan_image())
    write_dark_network(checkout / "far.onnx", distance)
    run(monkeypatch, "scan.png", "--model", "far.onnx")
    unlike = [line for line in capsys.readouterr().out.splitlines() if "1 of 1 frames are unlike" in line]
    assert len(unlike) == lines
    assert all(line.endswith(": scan.png") for line in unlike)
    [row] = json.loads(Path("segmented/findings.json").read_text())
    assert row["feature_distance"] == distance


def of_phantoms(path: Path) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, replace(CARD, data="phantom").as_properties())
    onnx.save(model, path)


def test_a_network_without_a_card_is_refused(checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load("models/attention-unet.onnx")
    del model.metadata_props[:]
    onnx.save(model, "bare.onnx")
    write("scan.png", scan_image())
    with pytest.raises(SystemExit, match=r"bare\.onnx: lacks its post-processing"):
        run(monkeypatch, "scan.png", "--model", "bare.onnx")


SEGMENT = (sys.executable, "-m", "breast_ultrasound.commands.segment.command")


def test_nothing_that_takes_long_to_load_is_loaded_and_nothing_is_reported(checkout: Path, write: Write) -> None:
    write("scan.png", scan_image())
    script = (
        "import sys; from breast_ultrasound.commands.segment import command as segment; "
        "sys.argv = ['segment', 'scan.png', '--coco', '--overlay']; "
        "unwanted = {'tensorflow', 'keras', 'pandas', 'pydantic', 'onnx', 'openvino_telemetry'}; "
        "segment.main(); print(*sorted(unwanted & set(sys.modules)))"
    )
    done = attempt(checkout, sys.executable, "-c", script, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


def test_a_mistyped_name_is_reported_before_anything_is_loaded(checkout: Path) -> None:
    script = (
        "import sys, atexit; from breast_ultrasound.commands.segment import command as segment; "
        "sys.argv = ['segment', 'nothing.png']; "
        "atexit.register(lambda: print(*sorted({'numpy', 'cv2', 'openvino'} & set(sys.modules)))); segment.main()"
    )
    done = attempt(checkout, sys.executable, "-c", script, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout, done.stderr) == (1, "\n", "error: nothing.png: does not exist.\n")


def segment_many(checkout: Path, write: Write) -> subprocess.Popen[str]:
    """Start to segment 2,000 scans, so many that a busy machine does not end before it is stopped; 5 are done."""
    first = write("scans/0000.png", scan_image())
    for number in range(1, 2000):
        Path(f"scans/{number:04}.png").hardlink_to(first)
    # Where the tests run in the background of a shell, they ignore Ctrl-C, and so would it.
    command = ("env", "--default-signal=INT", *SEGMENT, "scans")
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=checkout, env=variables, stderr=subprocess.PIPE, text=True)
    # Less those that are still written aside.
    while len(list(checkout.glob("segmented/[!.]*.png"))) < 5:
        assert process.poll() is None, "it has ended before it could be stopped"
        time.sleep(0.002)
    return process


def go_on_with_20_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for scan in sorted(Path("scans").iterdir())[len(masks()) + 20 :]:
        scan.unlink()
    run(monkeypatch, "scans")


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = segment_many(checkout, write)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate()
    assert process.returncode == 1
    done = masks()
    assert f"error: stopped; {len(done)} of 2000 scans are done." in messages
    assert "Traceback" not in messages
    assert 5 <= len(done) < 1900
    assert [row["mask"] for row in findings()] == done
    assert not list(checkout.glob("segmented/.*"))
    go_on_with_20_more(monkeypatch)
    assert len(findings()) == len(done) + 20


def test_after_a_kill_the_same_command_goes_on_and_has_the_findings_of_what_was_done(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = segment_many(checkout, write)
    process.kill()
    process.communicate()
    done = masks()
    assert 5 <= len(done) < 1900
    go_on_with_20_more(monkeypatch)
    assert [row["mask"] for row in findings()] == masks()
    assert len(masks()) == len(done) + 20
    assert not list(checkout.glob("segmented/.findings*"))


def test_a_full_disk_is_reported_and_leaves_nothing_half_written(checkout: Path, write: Write) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        write(f"scans/{number}.png", rng.integers(0, 255, (700, 900), np.uint8))
    mount = "mkdir segmented && mount -t tmpfs -o size=1m tmpfs segmented"
    script = f"{mount} && {' '.join(SEGMENT)} scans --overlay; echo ended $? && ls -A segmented"
    if attempt(checkout, "unshare", "--map-root-user", "--mount", "true").returncode:
        pytest.skip("this machine lets nobody mount a disk: unshare --map-root-user --mount fails")
    done = attempt(checkout, "unshare", "--map-root-user", "--mount", "sh", "-c", script, PYTHONPATH=str(ROOT))
    assert "ended 1" in done.stdout
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert ".partial" not in done.stdout


def test_scans_of_one_name_get_masks_of_two(tmp_path: Path, write: Write) -> None:
    scans = [write(name, scan_image()) for name in ("a/scan.png", "b/scan.jpg", "c/scan.jpg", "c/other.png")]
    masks = [job.mask.relative_to(tmp_path / "out") for job in jobs.plan_jobs(scans, tmp_path / "out")]
    assert list(map(str, masks)) == [
        "scan.png_mask.png",
        "b/scan.jpg_mask.png",
        "c/scan.jpg_mask.png",
        "other_mask.png",
    ]
