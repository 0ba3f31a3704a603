"""The command `recipe`: a file of params that differ becomes one line of `dvc exp run`."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, attempt, run

from breast_ultrasound.commands.recipe import list_recipes, read_recipe, setting, summary
from breast_ultrasound.pipeline.errors import UserError

PARAMS = {"seed": 1, "split": {"run": [0]}, "train": {"epochs": 30}, "external": {}}
RECIPE = (sys.executable, "-m", "breast_ultrasound.commands.recipe")


def write_recipe(folder: Path, text: str) -> Path:
    path = folder / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_becomes_a_setting_for_each_key(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "# Trial.\nsplit:\n  run: [0, 1]\ntrain:\n  epochs: 2\n")
    assert read_recipe(path, PARAMS) == ["split.run=[0, 1]", "train.epochs=2"]


@pytest.mark.parametrize(
    "value", ["busi", "efficientnet-lite0", "my data/cases (2).csv", "true", "1e3", 0.001, None, True]
)
def test_dvc_reads_back_the_value_of_a_setting(value: object, tmp_path: Path) -> None:
    # Importing DVC takes a second that other tests need not wait for.
    from dvc.utils.hydra import apply_overrides  # noqa: PLC0415

    params = tmp_path / "params.yaml"
    params.write_text("key: 0\n", encoding="utf-8")
    apply_overrides(params, [setting("key", value)])
    assert yaml.safe_load(params.read_text(encoding="utf-8")) == {"key": value}


def test_unknown_keys_are_refused_by_name(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "train:\n  epoch: 2\nspeed: 1\n")
    with pytest.raises(UserError, match=r"no key speed, train\.epoch"):
        read_recipe(path, PARAMS)


@pytest.mark.parametrize("text", ["# Nothing.\n", "- 1\n", "train: [\n"])
def test_what_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trial\.yaml"):
        read_recipe(write_recipe(tmp_path, text), PARAMS)


@pytest.mark.parametrize("name", list_recipes(ROOT / "recipes"))
def test_a_published_recipe_sets_keys_of_params_yaml_alone(name: str) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert read_recipe(ROOT / "recipes" / f"{name}.yaml", params)


@pytest.mark.parametrize("name", list_recipes(ROOT / "recipes"))
def test_a_published_recipe_says_what_it_is_and_names_its_commit(name: str) -> None:
    text = (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    assert "BUSI" in summary(ROOT / "recipes" / f"{name}.yaml")
    (line,) = [line for line in text.splitlines() if line.startswith("# Commit: ")]
    commit = line.split()[2].rstrip(".")
    assert commit in (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_without_a_name_the_recipes_are_listed_and_a_wrong_name_lists_them_too() -> None:
    listed = run(ROOT, *RECIPE).splitlines()
    assert [line.split()[0] for line in listed] == list(list_recipes(ROOT / "recipes"))
    wrong = attempt(ROOT, *RECIPE, "nothing")
    assert wrong.returncode == 1
    assert all(name in wrong.stderr for name in list_recipes(ROOT / "recipes"))


def test_a_recipe_runs_as_an_experiment_with_further_settings(working_copy: Path) -> None:
    (working_copy / "recipes/trial.yaml").write_text("# Trial.\nreport:\n  examples: 2\n", encoding="utf-8")
    printed = run(working_copy, *RECIPE, "trial", "-S", "report.gallery=5", "--name", "trial")
    assert printed.startswith("$ dvc exp run -S report.examples=2 -S report.gallery=5 --name trial\n")
    params = yaml.safe_load((working_copy / "params.yaml").read_text(encoding="utf-8"))
    assert (params["report"]["examples"], params["report"]["gallery"]) == (2, 5)
    assert len(list((working_copy / "metrics/examples").glob("worst_*.jpg"))) == 2
    assert "trial" in run(working_copy, sys.executable, "-m", "dvc", "exp", "list")
    assert json.loads(run(working_copy, sys.executable, "-m", "dvc", "status", "--json")) == {}
