"""dvc.yaml against the code, and the whole pipeline run for real on a tiny phantom."""

import ast
import functools
import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DVC, ROOT, attempt, dvc, imported_names, packages_by_module, run

from breast_ultrasound.pipeline.params import Section

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
# All but the check, which reads params.yaml as a file and makes nothing.
WORKING = {name: stage for name, stage in STAGES.items() if name != "check"}
VERSIONS: dict[str, str] = yaml.safe_load((ROOT / "versions.yaml").read_text(encoding="utf-8"))


@functools.cache
def imported(module: Path) -> frozenset[Path]:
    """The files of this project that a file imports, itself or through others, with the packages they lie in.

    A package whose `__init__.py` is a docstring alone does nothing, and is left out.
    """
    modules: set[Path] = set()
    waiting = {module}
    while waiting:
        path = waiting.pop()
        modules.add(path)
        files = {Path(name.replace(".", "/")).with_suffix(".py") for name in imported_names(ROOT / path)}
        packages = {parent / "__init__.py" for parent in path.parents}
        waiting |= {file for file in files if (ROOT / file).exists()} - modules
        waiting |= {file for file in packages if (ROOT / file).exists() and runs_code(ROOT / file)} - modules
    return frozenset(modules)


@functools.cache
def runs_code(file: Path) -> bool:
    return len(ast.parse(file.read_text(encoding="utf-8")).body) > 1


def params_read(stage: str) -> set[str]:
    """Every section that a stage reads, or `section.key` where it declares a few keys of another one's section."""
    keys = set()
    for name, field in importlib.import_module(f"stages.{stage}").Params.model_fields.items():
        declared = field.annotation
        section = isinstance(declared, type) and issubclass(declared, Section)
        few = section and declared.model_config.get("extra") == "ignore"
        keys |= {f"{name}.{key}" for key in declared.model_fields} if few else {name}
    return keys


@pytest.mark.parametrize("name", STAGES)
def test_every_imported_module_is_a_dependency(name: str) -> None:
    declared = {
        Path(dep) for dep in STAGES[name]["deps"] if dep.endswith(".py") or (ROOT / dep / "__init__.py").exists()
    }
    needed = imported(Path(f"stages/{name}.py"))
    assert {file for file in needed if not declared & {file, *file.parents}} == set()
    assert {path for path in declared if not any(path in {file, *file.parents} for file in needed)} == set()


def test_all_params_are_checked_before_any_stage_that_makes_something() -> None:
    assert next(iter(STAGES)) == "check"
    assert not {"outs", "params"} & STAGES["check"].keys()
    assert STAGES["check"]["deps"][0] == "params.yaml"


@pytest.mark.parametrize("name", WORKING)
def test_the_params_that_a_stage_reads_are_the_declared_ones(name: str) -> None:
    assert params_read(name) == {key for key in WORKING[name]["params"] if isinstance(key, str)}


def packages_imported(stage: str) -> set[str]:
    """The distributions that a stage imports, itself or through the project's modules."""
    modules = {
        name.split(".")[0] for file in imported(Path(f"stages/{stage}.py")) for name in imported_names(ROOT / file)
    }
    owners = packages_by_module()
    return {owner.lower() for module in modules for owner in owners.get(module, ())}


@pytest.mark.parametrize("name", WORKING)
def test_the_versions_of_what_decides_a_result_are_declared(name: str) -> None:
    (declared,) = (key["versions.yaml"] for key in WORKING[name]["params"] if isinstance(key, dict))
    assert set(declared) == packages_imported(name) & VERSIONS.keys()


@pytest.mark.parametrize("package", VERSIONS)
def test_what_is_installed_is_what_the_results_are_of(package: str) -> None:
    allowed = [entry.split(" ;")[0] for entry in VERSIONS[package].split(", ")]
    assert importlib.metadata.version(package) in allowed


def test_another_version_makes_the_stages_that_use_it_rerun(working_copy: Path) -> None:
    versions = working_copy / "versions.yaml"
    versions.write_text(
        versions.read_text(encoding="utf-8").replace('matplotlib: "', 'matplotlib: "1'), encoding="utf-8"
    )
    assert json.loads(dvc(working_copy, "status", "--json")).keys() == {"report"}


def test_a_new_key_makes_only_the_stages_that_read_its_section_rerun(working_copy: Path) -> None:
    add_key(working_copy / "params.yaml", "report", "title")
    code = working_copy / "stages/report.py"
    code.write_text(code.read_text(encoding="utf-8").replace("class Report(Section):", NEW_KEY), encoding="utf-8")
    assert json.loads(dvc(working_copy, "status", "--json")).keys() == {"check", "report"}


NEW_KEY = """class Report(Section):
    title: str
"""


def add_key(file: Path, section: str, key: str) -> None:
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    values[section][key] = "new"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does_and_runs_its_module(name: str) -> None:
    assert STAGES[name]["desc"]
    assert STAGES[name]["cmd"].startswith(f"python -m stages.{name}")


def test_repro_runs_the_whole_pipeline_and_then_has_nothing_to_do(working_copy: Path) -> None:
    assert (working_copy / "metrics/report.html").exists()
    assert "Data and pipelines are up to date" in dvc(working_copy, "repro")
    assert run(working_copy, "git", "status", "--porcelain") == ""


def test_scores_have_a_row_for_each_validation_and_test_image_of_each_fold(clone: Path) -> None:
    folds, scores = pd.read_csv(clone / "data/folds.csv"), pd.read_csv(clone / "metrics/scores.csv")
    scores = scores[scores["postprocessing"] == "after"]
    for fold in (0, 1):
        for subset, members in (("test", fold), ("validation", fold + 1)):
            scored = scores[(scores["fold"] == fold) & (scores["subset"] == subset)]
            assert sorted(scored["id"]) == sorted(folds.loc[folds["fold"] == members, "id"])
    assert set(folds["fold"]) == {0, 1, 2}


def test_each_image_has_the_probabilities_of_its_classes_and_the_dice_to_be_expected(clone: Path) -> None:
    scores = pd.read_csv(clone / "metrics/scores.csv")
    assert scores.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert scores["predicted_dice"].between(0, 1).all()


def test_validation_images_are_counted_under_each_domain_shift(clone: Path) -> None:
    counts, scores = pd.read_csv(clone / "metrics/domain_shift.csv"), pd.read_csv(clone / "metrics/scores.csv")
    validated = scores[(scores["subset"] == "validation") & (scores["postprocessing"] == "after")]
    for _, changed in counts[counts["postprocessing"] == "after"].groupby("domain_shift"):
        assert changed["id"].tolist() == validated["id"].tolist()


def test_scores_are_on_the_native_grid_and_the_summary_follows_from_them(clone: Path) -> None:
    scores = pd.read_csv(clone / "metrics/scores.csv")
    first = scores.iloc[0]
    mask = np.asarray(
        cv2.imread(str(clone / f"data/raw/{first['class']}/{first['id']}_mask.png"), cv2.IMREAD_GRAYSCALE)
    )
    assert first[["tp", "fp", "fn", "tn"]].sum() == mask.size
    figures = json.loads((clone / "metrics/figures.json").read_text())
    tested = scores[(scores["subset"] == "test") & (scores["postprocessing"] == "after")]
    lesions = tested.loc[tested["class"] != "normal", "dice"]
    assert figures["test"]["after"]["lesion"]["mean per image"]["dice"]["value"] == pytest.approx(
        lesions.mean(), abs=1e-4
    )
    assert figures["test"]["after"]["all"]["images"] == len(tested)
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert summary["test"]["lesion_dice"] == pytest.approx(lesions.mean(), abs=1e-3)


def test_metrics_and_plots_show(working_copy: Path) -> None:
    assert "test.lesion_dice" in dvc(working_copy, "metrics", "show", "--md")
    dvc(working_copy, "plots", "show", "--json")
    assert (working_copy / "metrics/train/fold-0/plots/metrics/val_lesion_dice.tsv").exists()


def test_the_record_names_device_versions_and_weights(clone: Path) -> None:
    record = json.loads((clone / "metrics/train/fold-0/record.json").read_text())
    assert record["device"]["kind"] in {"cpu", "gpu"}
    assert {"python", "keras", "numpy"} <= record["versions"].keys()
    assert record["weights"] > 1000
    assert record["images"] == {"train": 8, "validation": 8}


def test_a_scan_is_segmented_with_what_was_trained(clone: Path, tmp_path: Path) -> None:
    scan = "data/raw/benign/benign (1).png"
    run(
        clone,
        sys.executable,
        "-m",
        "breast_ultrasound.commands.segment.command",
        scan,
        "--overlay",
        "--output",
        str(tmp_path),
    )
    image = np.asarray(cv2.imread(str(clone / scan), cv2.IMREAD_GRAYSCALE))
    mask = np.asarray(cv2.imread(str(tmp_path / "benign (1)_mask.png"), cv2.IMREAD_UNCHANGED))
    assert mask.shape == image.shape
    assert set(np.unique(mask)) <= {0, 255}


def test_fewer_folds_leave_nothing_of_the_others_behind(working_copy: Path) -> None:
    params = yaml.safe_load((working_copy / "params.yaml").read_text(encoding="utf-8"))
    params["split"]["run"], params["export"]["folds"] = [0], None
    (working_copy / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    dvc(working_copy, "repro")
    for folder in ("data/predictions", "data/histories", "metrics/train"):
        assert [path.name for path in (working_copy / folder).iterdir()] == ["fold-0"]
    lock = yaml.safe_load((working_copy / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    read = {dep["path"]: dep for name in ("evaluate", "report") for dep in lock[name]["deps"]}
    assert read["data/predictions"]["nfiles"] == 3
    assert read["data/predictions"]["md5"] != committed_hash(working_copy, "data/predictions")
    assert "up to date" in dvc(working_copy, "status")


def committed_hash(folder: Path, dependency: str) -> str:
    lock = yaml.safe_load(run(folder, "git", "show", "HEAD:dvc.lock"))["stages"]
    return next(dep["md5"] for dep in lock["evaluate"]["deps"] if dep["path"] == dependency)


def test_a_bad_param_ends_in_one_sentence_and_loses_nothing(working_copy: Path) -> None:
    before = (working_copy / "params.yaml").read_text()
    (working_copy / "params.yaml").write_text(before.replace("phantom_images: 24", "phantom_images: 3"))
    done = attempt(working_copy, *DVC, "repro")
    (working_copy / "params.yaml").write_text(before)
    assert done.returncode != 0
    assert "error: params.yaml: data.phantom_images is 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert (working_copy / "data/raw/planted.csv").exists()
    assert "up to date" in dvc(working_copy, "repro")
