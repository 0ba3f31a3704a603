"""`compare` on real commits and a real experiment, and its page in a real browser."""

import json
import re
import resource
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import MadeOnce, attempt, barriers, commit, dvc, run
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from breast_ultrasound.pages.rendering import signed

COMPARE = (sys.executable, "-m", "breast_ultrasound.commands.compare.command")


def refusal(folder: Path, *revisions: str) -> str:
    """What `compare` prints on its way to exit code 1."""
    done = attempt(folder, *COMPARE, *revisions)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="session")
def with_experiment(clone: Path, made_once: MadeOnce) -> Path:
    """A copy of the tiny run, DVC's cache included, with an experiment that predicts without mirror images."""

    def make(copy: Path) -> None:
        shutil.copytree(clone, copy)
        dvc(copy, "exp", "run", "--name", "other", "-S", "predict.mirror=false", "evaluate")
        run(copy, "git", "checkout", "--quiet", "--force", "HEAD")

    return made_once("experiment", make)


def test_a_run_is_compared_with_an_experiment_from_git_alone(with_experiment: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    run(tmp_path, "git", "clone", "--quiet", str(with_experiment), "bare")
    run(bare, "git", "fetch", "--quiet", "origin", "refs/exps/*:refs/exps/*")
    assert not (bare / ".dvc/cache").exists()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = run(bare, *COMPARE, "HEAD", "other")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    first, second = (
        pd.read_csv(folder / "metrics/scores.csv").query(
            "subset == 'test' and postprocessing == 'after' and tp + fn > 0"
        )
        for folder in (bare, checked_out(with_experiment, "other", tmp_path))
    )
    line = next(line for line in printed.split("\ntest")[1].splitlines() if line.startswith("  lesion Dice"))
    assert line.split()[2:5] == [
        f"{first['dice'].mean():.3f}",
        f"{second['dice'].mean():.3f}",
        signed(second["dice"].mean() - first["dice"].mean()),
    ]
    verdict = re.search(r"  p (\d\.\d{4})  (more than noise|within noise|too few changes to tell|the same)$", line)
    assert verdict
    assert (float(verdict[1]) <= 0.05) == (verdict[2] == "more than noise")
    assert "gained most" in printed
    assert "lost most" in printed


def checked_out(repository: Path, experiment: str, tmp_path: Path) -> Path:
    """A work tree of an experiment."""
    hashed = run(repository, "git", "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{experiment}").strip()
    run(repository, "git", "worktree", "add", "--quiet", "--detach", str(tmp_path / experiment), hashed)
    return tmp_path / experiment


def test_one_revision_is_compared_with_what_is_checked_out(clone: Path) -> None:
    printed = run(clone, *COMPARE, "HEAD")
    assert "difference: checked out less HEAD" in printed
    assert "the same" in printed
    assert "noise\n" not in printed


def test_the_page_shows_both_contours_of_each_image(with_experiment: Path, tmp_path: Path, browser: Chrome) -> None:
    run(with_experiment, *COMPARE, "HEAD", "other", "--images", "2", "--html", str(tmp_path / "page.html"))
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.get_log("browser") == []
    assert barriers(browser, "light") == []
    pairs = browser.find_elements(By.CSS_SELECTOR, ".pair")
    assert pairs
    for pair in pairs:
        images = pair.find_elements(By.TAG_NAME, "img")
        assert len(images) == 2
        assert images[0].get_attribute("src") != images[1].get_attribute("src")
        assert all(int(str(image.get_attribute("naturalWidth"))) > 0 and image.get_attribute("alt") for image in images)


def test_a_page_without_the_pictures_at_hand_is_refused(with_experiment: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(with_experiment), "bare")
    run(tmp_path / "bare", "git", "fetch", "--quiet", "origin", "refs/exps/*:refs/exps/*")
    message = refusal(tmp_path / "bare", "HEAD", "other", "--html", "page.html")
    assert "is neither in DVC's cache nor in a remote" in message
    assert not (tmp_path / "bare/page.html").exists()


def test_unknown_and_unfit_revisions_are_refused_by_name(git_clone: Path) -> None:
    assert "error: nothing: neither a Git revision nor an experiment" in refusal(git_clone, "nothing")
    # The first commit holds code and params alone, whatever was in the working tree then.
    (git_clone / "metrics/scores.csv").unlink()
    commit(git_clone, "No scores")
    assert "error: HEAD and HEAD~1 cannot be compared: HEAD: holds no metrics/scores.csv" in refusal(
        git_clone, "HEAD", "HEAD~1"
    )


def test_other_scoring_rules_are_refused(git_clone: Path) -> None:
    figures = git_clone / "metrics/figures.json"
    figures.write_text(json.dumps(json.loads(figures.read_text()) | {"scoring rules": 2}))
    commit(git_clone, "Another Dice")
    assert "were scored by versions 1 and 2 of the scoring rules" in refusal(git_clone, "HEAD~1", "HEAD")


def test_other_test_images_are_refused(git_clone: Path) -> None:
    scores = pd.read_csv(git_clone / "metrics/scores.csv")
    tested = scores.loc[scores["subset"] == "test", "id"].iloc[0]
    scores[(scores["subset"] != "test") | (scores["id"] != tested)].to_csv(
        git_clone / "metrics/scores.csv", index=False
    )
    assert f"HEAD and checked out cannot be compared: their test images differ: 1 ({tested}, …)" in refusal(
        git_clone, "HEAD"
    )
