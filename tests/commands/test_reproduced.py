"""`reproduced` on the tiny run: the same bytes, other bytes with like figures, other results."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import attempt

from breast_ultrasound.commands.reproduced import Locked, first_difference

SCORES = "metrics/scores.csv"


def reproduced(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the command does in a folder."""
    return attempt(folder, sys.executable, "-m", "breast_ultrasound.commands.reproduced")


def replace_in_lock(folder: Path, pattern: str, text: str) -> None:
    """Replace what matches in dvc.lock, as a run that made something else would."""
    lock = (folder / "dvc.lock").read_text(encoding="utf-8")
    assert re.search(pattern, lock)
    (folder / "dvc.lock").write_text(re.sub(pattern, text, lock), encoding="utf-8")


def lose_pixels(folder: Path, share: float, masks: int | None = None) -> None:
    """Take a share of its true positives, rounded up, from each mask, or from a few of those that have any."""
    scores = pd.read_csv(folder / SCORES)
    chosen = scores.index.isin(scores.index[(scores["tp"] > 0) & (scores["postprocessing"] == "after")][:masks])
    lost = np.ceil(share * scores["tp"]).astype(int) * chosen
    scores.assign(tp=scores["tp"] - lost, fn=scores["fn"] + lost).to_csv(folder / SCORES, index=False)
    replace_in_lock(folder, r"(path: models/fold-0.keras\n +hash: md5\n +md5: )\w+", r"\g<1>0")


def test_a_run_is_the_same_as_its_commit(git_clone: Path) -> None:
    done = reproduced(git_clone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HEAD: the same bytes, ")


def test_other_bytes_with_like_figures_are_a_reproduction_too(git_clone: Path) -> None:
    lose_pixels(git_clone, share=1e-9, masks=3)
    done = reproduced(git_clone)
    assert done.returncode == 0, done.stderr
    assert "other bytes from the stage train@0 on (models/fold-0.keras)" in done.stdout
    assert re.search("^3 of [0-9]+ masks differ, by 3 pixels at least", done.stdout, re.MULTILINE)
    assert "agree within noise" in done.stdout


def test_other_figures_are_other_results(git_clone: Path) -> None:
    lose_pixels(git_clone, share=0.9)
    done = reproduced(git_clone)
    assert done.returncode == 1
    assert "more than noise" in done.stdout.splitlines()[-1]


def test_other_images_are_other_results(git_clone: Path) -> None:
    lose_pixels(git_clone, share=0)
    scores = pd.read_csv(git_clone / SCORES)
    scores[scores["id"] != scores["id"].iloc[0]].to_csv(git_clone / SCORES, index=False)
    done = reproduced(git_clone)
    assert done.returncode == 1
    assert "images differ" in done.stdout


def test_other_params_are_another_run(git_clone: Path) -> None:
    lose_pixels(git_clone, share=0)
    replace_in_lock(git_clone, "learning_rate: 0.002", "learning_rate: 0.001")
    done = reproduced(git_clone)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "Another run: the params of train@0 differ (train)."


@pytest.mark.parametrize(
    ("second", "difference"),
    [
        ({"split": {"a": 1}, "train": {"b": 2}}, None),
        ({"split": {"a": 0}, "train": {"b": 0}}, ("split", ["a"])),
        ({"split": {"a": 1}}, ("train", ["b"])),
        ({"split": {"a": 1}, "train": {"b": 2}, "predict": {"c": 3}}, ("predict", ["c"])),
    ],
)
def test_the_first_stage_that_differs_is_named(second: Locked, difference: tuple[str, list[str]] | None) -> None:
    assert first_difference({"split": {"a": 1}, "train": {"b": 2}}, second) == difference
