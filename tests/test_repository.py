"""What Git tracks: the project, in the same bytes everywhere, and nobody's images."""

from pathlib import Path

import pytest
from conftest import ROOT, attempt, run


@pytest.mark.parametrize(
    "name",
    ["scan.png", "my-data/cases.csv", "patients.csv", "data/raw/benign/benign (1).png", "segmented/scan_mask.png"],
)
def test_images_and_tables_of_patients_are_ignored_by_default(name: str) -> None:
    assert attempt(ROOT, "git", "check-ignore", "--quiet", "--no-index", name).returncode == 0


def test_what_is_tracked_is_not_ignored() -> None:
    assert run(ROOT, "git", "ls-files", "--cached", "--ignored", "--exclude-standard") == ""


def test_line_endings_are_the_same_whatever_git_is_told(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet", "windows")
    folder = tmp_path / "windows"
    for name in (".gitattributes", "dvc.yaml", "data/folds.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    run(folder, "git", "config", "core.autocrlf", "true")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "Files")
    (folder / "dvc.yaml").unlink()
    run(folder, "git", "checkout", "--", "dvc.yaml")
    assert (folder / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert run(folder, "git", "status", "--porcelain") == ""
