"""dvc.yaml against the code, and the whole pipeline run for real on a tiny phantom."""

import ast
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DVC, ROOT, attempt, dvc, run

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]


def imported(module: Path) -> set[Path]:
    """The files of this project that a file imports, itself or through others, with the packages they lie in."""
    found: set[Path] = set()
    waiting = {module}
    while waiting:
        path = waiting.pop()
        found.add(path)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = {Path(name.replace(".", "/")).with_suffix(".py") for name in names}
            waiting |= {file for file in files if (ROOT / file).exists()} - found
    packages = {parent / "__init__.py" for file in found for parent in file.parents}
    return found | {file for file in packages if (ROOT / file).exists() and (ROOT / file).stat().st_size}


def params_read(module: Path) -> set[str]:
    """Every `section` or `section.key` of the loaded params that a stage reads, by its own code and templates."""
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    found = re.findall(r"\b(?:loaded|load\(\))\.(\w+)(?:\.(\w+))?", (ROOT / module).read_text(encoding="utf-8"))
    for template in (ROOT / "stages/templates").glob("*.j2") if module.stem == "report" else ():
        found += re.findall(r"\bparams\.(\w+)(?:\.(\w+))?", template.read_text(encoding="utf-8"))
    read = set()
    for section, key in found:
        if section not in sections:
            continue
        within = isinstance(sections[section], dict) and key in sections[section]
        read.add(f"{section}.{key}" if within else section)
    return read


@pytest.mark.parametrize("name", STAGES)
def test_every_imported_module_is_a_dependency(name: str) -> None:
    declared = {Path(dep) for dep in STAGES[name]["deps"] if dep.endswith(".py")}
    assert declared == imported(Path(f"stages/{name}.py"))


@pytest.mark.parametrize("name", STAGES)
def test_every_param_that_is_read_is_declared(name: str) -> None:
    declared = set(STAGES[name].get("params", []))
    read = params_read(Path(f"stages/{name}.py"))
    assert all(key in declared or key.split(".")[0] in declared for key in read), read - declared
    assert all(any(r == key or r.startswith(f"{key}.") or key.startswith(f"{r}.") for r in read) for key in declared)


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does_and_runs_its_module(name: str) -> None:
    assert STAGES[name]["desc"]
    assert STAGES[name]["cmd"].startswith(f"python -m stages.{name}")


def test_repro_runs_the_whole_pipeline_and_then_has_nothing_to_do(clone: Path) -> None:
    assert (clone / "metrics/report.html").exists()
    assert "Data and pipelines are up to date" in dvc(clone, "repro")
    assert run(clone, "git", "status", "--porcelain") == ""


@pytest.fixture
def other_surroundings(tmp_path: Path) -> dict[str, str]:
    """Another time zone, locale and hash seed, and a file system that lists every folder the other way round."""
    (tmp_path / "sitecustomize.py").write_text(BACKWARD_LISTING)
    surroundings = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "12345"}
    return surroundings | {"PYTHONPATH": str(tmp_path)}


BACKWARD_LISTING = """
import os

listdir, scandir = os.listdir, os.scandir


class Backward:
    def __init__(self, path="."):
        with scandir(path) as entries:
            self._entries = iter(list(entries)[::-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def close(self):
        pass


os.listdir = lambda path=".": listdir(path)[::-1]
os.scandir = Backward
"""


def test_another_clone_in_other_surroundings_makes_the_same_bytes(
    git_clone: Path, other_surroundings: dict[str, str]
) -> None:
    assert not (git_clone / "models").exists()
    umask = os.umask(0o077)
    try:
        dvc(git_clone, "repro", "--force", **other_surroundings)
    finally:
        os.umask(umask)
    assert run(git_clone, "git", "diff") == ""
    assert (git_clone / "metrics/report.html").stat().st_mode & 0o077 == 0


def test_scores_have_a_row_for_each_validation_and_test_image_of_each_fold(clone: Path) -> None:
    folds, scores = pd.read_csv(clone / "data/folds.csv"), pd.read_csv(clone / "metrics/scores.csv")
    for fold in (0, 1):
        for subset, members in (("test", fold), ("validation", fold + 1)):
            scored = scores[(scores["fold"] == fold) & (scores["subset"] == subset) & (scores["stage"] == "after")]
            assert sorted(scored["id"]) == sorted(folds.loc[folds["fold"] == members, "id"])
    assert set(folds["fold"]) == {0, 1, 2}


def test_scores_are_on_the_native_grid_and_the_summary_follows_from_them(clone: Path) -> None:
    scores = pd.read_csv(clone / "metrics/scores.csv")
    first = scores.iloc[0]
    mask = np.asarray(
        cv2.imread(str(clone / f"data/raw/{first['class']}/{first['id']}_mask.png"), cv2.IMREAD_GRAYSCALE)
    )
    assert first[["tp", "fp", "fn", "tn"]].sum() == mask.size
    figures = json.loads((clone / "metrics/figures.json").read_text())
    tested = scores[(scores["subset"] == "test") & (scores["stage"] == "after")]
    lesions = tested.loc[tested["class"] != "normal", "dice"]
    assert figures["test"]["after"]["lesion"]["mean per image"]["dice"]["value"] == pytest.approx(
        lesions.mean(), abs=1e-4
    )
    assert figures["test"]["after"]["all"]["images"] == len(tested)
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert summary["test"]["lesion_dice"] == pytest.approx(lesions.mean(), abs=1e-3)


def test_metrics_and_plots_show(clone: Path) -> None:
    assert "test.lesion_dice" in dvc(clone, "metrics", "show", "--md")
    dvc(clone, "plots", "show", "--json")
    assert (clone / "metrics/train/fold-0/plots/metrics/val_lesion_dice.tsv").exists()


def test_the_record_names_device_versions_and_weights(clone: Path) -> None:
    record = json.loads((clone / "metrics/train/fold-0/record.json").read_text())
    assert record["device"]["kind"] in {"cpu", "gpu"}
    assert {"python", "keras", "numpy"} <= record["versions"].keys()
    assert record["weights"] > 1000
    assert record["images"] == {"train": 8, "validation": 8}


def test_a_scan_is_segmented_with_what_was_trained(clone: Path) -> None:
    scan = "data/raw/benign/benign (1).png"
    run(clone, sys.executable, "-m", "stages.segment", scan, "--overlay")
    image = np.asarray(cv2.imread(str(clone / scan), cv2.IMREAD_GRAYSCALE))
    mask = np.asarray(cv2.imread(str(clone / "segmented/benign (1).png"), cv2.IMREAD_UNCHANGED))
    assert mask.shape == image.shape
    assert set(np.unique(mask)) <= {0, 255}


def test_a_bad_param_ends_in_one_sentence_and_loses_nothing(clone: Path) -> None:
    before = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(before.replace("phantom_images: 24", "phantom_images: 3"))
    done = attempt(clone, *DVC, "repro")
    (clone / "params.yaml").write_text(before)
    assert done.returncode != 0
    assert "error: params.yaml: data.phantom_images is 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert (clone / "data/raw/planted.csv").exists()
    assert "up to date" in dvc(clone, "repro")
