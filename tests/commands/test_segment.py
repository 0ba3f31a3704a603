import json
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from conftest import Write
from PIL import ExifTags, Image

from commands import segment
from stages.network import model_files
from stages.pipeline.errors import UserError
from stages.scoring.postprocess import Steps


@pytest.fixture
def network() -> keras.Model:
    """A network that takes dark pixels for lesion: one convolution with set weights."""
    grey = keras.Input((32, 32, 1))
    scaled = keras.layers.Rescaling(-0.2, offset=20)(grey)
    logits = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="logits")(scaled)
    return keras.Model(grey, {"logits": logits})


@pytest.fixture
def checkout(network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params, the network as fold 0 and a threshold, as the pipeline leaves them."""
    (tmp_path / "params.yaml").write_text(Path("params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "postprocess.json").write_text(json.dumps({"fold-0": asdict(Steps(threshold=0.5))}))
    (tmp_path / "models").mkdir()
    model_files.save(network, tmp_path / "models" / "fold-0.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["segment", *arguments])
    segment.main()


def scan_image(height: int = 60, width: int = 90) -> np.ndarray:
    image = np.full((height, width), 180, np.uint8)
    image[20:40, 30:60] = 20
    return image


def test_the_mask_has_the_size_of_the_image_white_lesion_and_black_ground(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    mask = np.asarray(cv2.imread("segmented/scan.png", cv2.IMREAD_UNCHANGED))
    assert mask.shape == (60, 90)
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask > 0) ^ (scan_image() < 100)).mean() < 0.03
    overlay = np.asarray(cv2.imread("segmented/scan_overlay.png", cv2.IMREAD_COLOR))
    assert overlay.shape == (60, 90, 3)
    assert (overlay[..., 0] != overlay[..., 2]).any()


def test_a_folder_keeps_its_structure_and_its_masks_and_litter_are_let_be(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scans/a/one.png", "scans/a/one_mask.png", "scans/b/one.png", "scans/two.bmp", "scans/two_mask_1.png"):
        write(name, scan_image())
    for litter in ("scans/._two.png", "scans/__MACOSX/three.png"):
        (checkout / litter).parent.mkdir(exist_ok=True)
        (checkout / litter).write_bytes(b"left by the system")
    run(monkeypatch, "scans", "--output", "masks")
    assert sorted(str(path.relative_to("masks")) for path in Path("masks").rglob("*.png")) == [
        "a/one.png",
        "b/one.png",
        "two.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.png"], "nothing.png: does not exist"),
        (["empty"], "empty: holds no image"),
        (["scan.png", "other/scan.png"], "would overwrite another one"),
        (["scan.png", "--output", "."], "scan.png: is an input"),
        (["damaged.png"], "damaged.png: not a readable image"),
        (["scan.png", "--model", "models/fold-1.keras"], "models/fold-1.keras: no trained network"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    write("scan.png", scan_image())
    write("other/scan.png", scan_image())
    (checkout / "empty").mkdir()
    (checkout / "damaged.png").write_bytes(b"damaged")
    before = sorted(checkout.rglob("*"))
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert told in str(end.value.code)
    assert sorted(checkout.rglob("*")) == before


def test_a_mask_is_replaced_only_when_asked(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("scan.png", scan_image())
    earlier = write("segmented/scan.png", np.zeros((2, 2), np.uint8))
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
    mask = np.asarray(cv2.imread("segmented/scan.png", cv2.IMREAD_UNCHANGED))
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
    assert masks() == ["b.png", "d.png"]


def test_a_second_run_does_what_the_first_could_not(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.png", scan_image())
    (checkout / "b.png").write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        run(monkeypatch, ".", "--overlay")
    done = (checkout / "segmented" / "a.png").stat()
    write("b.png", scan_image())
    run(monkeypatch, ".", "--overlay")
    assert masks() == ["a.png", "a_overlay.png", "b.png", "b_overlay.png"]
    assert (checkout / "segmented" / "a.png").stat() == done


def masks() -> list[str]:
    return sorted(path.name for path in Path("segmented").iterdir())


@pytest.mark.parametrize("arguments", [["--overwrite"], []])
def test_no_overlay_of_an_earlier_run_stays_beside_a_new_mask(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    if not arguments:
        (checkout / "segmented" / "scan.png").unlink()
    run(monkeypatch, "scan.png", *arguments)
    assert masks() == ["scan.png"]


def test_no_picture_of_an_earlier_run_stays_where_the_image_cannot_be_read_any_more(
    checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = write("scan.png", scan_image())
    run(monkeypatch, "scan.png", "--overlay")
    scan.write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        run(monkeypatch, "scan.png", "--overwrite")
    assert masks() == []


def test_a_model_without_a_threshold_is_told(checkout: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("scan.png", scan_image())
    (checkout / "metrics" / "postprocess.json").unlink()
    with pytest.raises(SystemExit, match="no post-processing for fold-0"):
        run(monkeypatch, "scan.png")
    run(monkeypatch, "scan.png", "--threshold", "0.4")


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (500, 2), (32, 32)])
def test_an_image_of_any_size_gives_a_mask_of_its_size(network: keras.Model, shape: tuple[int, int]) -> None:
    mask = segment.segment(np.full(shape, 10, np.uint8), network, mirror=True, steps=Steps())
    assert mask.shape == shape
    assert mask.all()


def test_two_inputs_of_the_same_name_are_refused_before_any_work(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UserError, match="would overwrite"):
        segment.plan_jobs([write("a/scan.png", scan_image()), write("b/scan.jpg", scan_image())], tmp_path / "out")
