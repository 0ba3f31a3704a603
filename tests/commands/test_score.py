"""`score` on the tiny run and on a case table, and `compare` on what it wrote."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MadeOnce, Write, run, write_params
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from breast_ultrasound.cases.images import read_grey, write_png
from breast_ultrasound.commands.compare.command import main as compare
from breast_ultrasound.commands.score import main as score

Capsys = pytest.CaptureFixture[str]


def call(main: Callable[[], None], folder: Path, *arguments: str) -> None:
    """Run a command in a folder, in this process: a new one takes seconds to load."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr("sys.argv", ["command", *arguments])
        main()


@pytest.fixture(scope="session")
def scored(clone: Path, made_once: MadeOnce) -> Path:
    """The folders of two systems: the tiny run's own predictions, and masks that are always empty."""

    def make(folder: Path) -> None:
        run(clone, sys.executable, "benchmarks/peers/own.py", str(folder))
        empty = folder / "empty"
        empty.mkdir()
        for path in (folder / "masks").iterdir():
            write_png(empty / path.name, np.zeros_like(read_grey(path)))
        own = ("--probabilities", str(folder / "probabilities"), "--classes", str(folder / "classes.csv"))
        call(score, clone, str(folder / "masks"), *own, "--name", "own", "--out", str(folder))
        call(score, clone, str(empty), "--name", "always empty", "--out", str(folder))

    return made_once("scored", make)


def test_own_predictions_score_as_the_run_did_to_the_last_digit(clone: Path, scored: Path) -> None:
    own = json.loads((scored / "own/figures.json").read_text())
    run_figures = json.loads((clone / "metrics/figures.json").read_text())
    for key in ("after", "detection", "classes", "class against mask", "calibration error"):
        assert own["test"][key] == run_figures["test"][key], key
    assert own["test"]["error kinds"]["after"] == run_figures["test"]["error kinds"]["after"]
    assert own["scoring rules"] == run_figures["scoring rules"]
    expected = pd.read_csv(clone / "metrics/scores.csv").query("subset == 'test' and postprocessing == 'after'")
    actual = pd.read_csv(scored / "own/scores.csv")
    assert len(actual) > 10
    assert actual.columns.tolist() == [name for name in expected if name != "predicted_dice"]
    pd.testing.assert_frame_equal(actual, expected[list(actual.columns)].reset_index(drop=True), check_exact=True)


def test_own_probabilities_alone_score_as_the_run_did_without_post_processing(
    clone: Path, scored: Path, tmp_path: Path
) -> None:
    call(score, clone, "--probabilities", str(scored / "probabilities"), "--name", "own", "--out", str(tmp_path))
    before = json.loads((clone / "metrics/figures.json").read_text())["test"]["before"]
    assert json.loads((tmp_path / "own/figures.json").read_text())["test"]["after"] == before


def test_a_system_is_compared_with_a_run_and_agrees_with_itself(clone: Path, scored: Path, capsys: Capsys) -> None:
    call(compare, clone, str(scored / "own"))
    printed = capsys.readouterr().out
    figures = [line for line in printed.splitlines() if "  p " in line]
    assert [line.split("  ")[1] for line in figures] == [
        "lesion Dice",
        "lesion IoU",
        "normal specificity",
        "Dice, all images",
        "AUC",
        "class right",
        "malignant AUC",
    ]
    assert all(line.endswith("the same") for line in figures)


def test_two_systems_are_compared_with_their_pictures(
    clone: Path, scored: Path, tmp_path: Path, browser: Chrome, capsys: Capsys
) -> None:
    page = tmp_path / "page.html"
    systems = (str(scored / "own"), str(scored / "always empty"))
    call(compare, clone, *systems, "--images", "2", "--html", str(page))
    printed = capsys.readouterr().out
    assert "AUC" not in printed
    assert "always empty less own" in printed
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    images = browser.find_elements(By.CSS_SELECTOR, ".pair img")
    assert images
    assert all(int(str(image.get_attribute("naturalWidth"))) > 0 for image in images)


def test_a_run_without_its_pictures_is_compared_with_those_of_the_system(
    git_clone: Path, clone: Path, scored: Path, tmp_path: Path, capsys: Capsys
) -> None:
    # The data that was scored, which Git alone does not bring, and no predictions.
    (git_clone / "data/raw").symlink_to(clone / "data/raw")
    system = str(scored / "always empty")
    call(compare, git_clone, "HEAD", system, "--images", "1", "--html", str(tmp_path / "page.html"))
    reason = "without its pictures: HEAD: its data/prepared/index.csv is neither in DVC's cache nor in a remote"
    assert reason in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "contours of always empty" in page
    assert "contours of HEAD" not in page


def test_a_system_of_one_fold_is_compared_with_a_run_of_several_on_that_fold(
    clone: Path, scored: Path, tmp_path: Path, capsys: Capsys
) -> None:
    call(score, clone, str(scored / "empty"), "--name", "empty", "--folds", "1", "--out", str(tmp_path))
    call(compare, clone, "HEAD", str(tmp_path / "empty"))
    printed = capsys.readouterr().out
    images = len(pd.read_csv(tmp_path / "empty/scores.csv"))
    assert f"{images} test images" in printed
    assert "not compared, since one of the runs lacks them: images of fold 0" in printed


def test_a_refused_submission_leaves_nothing(clone: Path, scored: Path, tmp_path: Path) -> None:
    # Those of fold 2, which the tiny run does not test, are lacking.
    with pytest.raises(SystemExit, match=r"^error: nothing was scored, faults: 1\n.*masks: lacks 8 of 8 images"):
        call(score, clone, str(scored / "masks"), "--name", "x", "--folds", "2", "--out", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_all_images_of_a_case_table_are_scored_in_the_groups_of_its_patients(
    write: Write, tmp_path: Path, capsys: Capsys
) -> None:
    write_params(tmp_path)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(4):
        mask = np.zeros((60, 80), np.uint8)
        mask[20:40, 10 : 30 + number] = 255
        write(f"clinic/{number}.png", rng.integers(0, 255, (60, 80), dtype=np.uint8))
        write(f"clinic/masks/{number}.png", mask)
        rows.append(f"{number}.png,masks/{number}.png,lesion,P{number // 2}")
    (tmp_path / "clinic/cases.csv").write_text("\n".join(["image,masks,class,patient", *rows]), encoding="utf-8")
    call(score, tmp_path, "clinic/masks", "--name", "x", "--data", "clinic/cases.csv")
    assert "| clinic, 4 images | x | 1.000 " in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "scored/x/scores.csv")
    assert (scores["group"].nunique(), scores["fold"].unique().tolist()) == (2, [-1])
    call(compare, tmp_path, "scored/x", "scored/x", "--html", "page.html")
    assert "4 test images" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"clinic", "page.html", "params.yaml", "scored"}


@pytest.mark.parametrize("arguments", [("--name", "x"), ("masks", "--name", "../x"), ("masks",)])
def test_a_command_line_that_says_too_little_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        call(score, tmp_path, *arguments)
    assert ended.value.code == 2
