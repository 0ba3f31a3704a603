"""The form of params.yaml: DVC, which rewrites the whole file for an experiment, changes the lines of a key alone."""

import difflib
import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from dvc.stage.cache import _get_cache_hash
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from breast_ultrasound.commands.recipe import flatten, setting

VALUES = dict(flatten(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))))


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def changed_lines(params: Path) -> list[str]:
    """The lines that differ from the file as it is checked out, with + or - in front."""
    before, after = ((folder / "params.yaml").read_text(encoding="utf-8") for folder in (ROOT, params.parent))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_dvc_writes_the_file_as_it_is(params: Path) -> None:
    with modify_yaml(params):
        pass
    assert changed_lines(params) == []


# A list is replaced by DVC even where another key changes.
@pytest.mark.parametrize("key", [key for key, value in VALUES.items() if not isinstance(value, list | dict)])
def test_an_experiment_changes_the_line_of_its_key_alone(key: str, params: Path) -> None:
    apply_overrides(params, [setting(key, "another")])
    assert [line[0] for line in changed_lines(params)] == ["-", "+"]
    assert changed_lines(params)[1].strip("+ ") == f"{key.rpartition('.')[2]}: another"


@pytest.mark.parametrize("key", [key for key, value in VALUES.items() if isinstance(value, list)])
def test_an_experiment_changes_the_values_of_its_list_alone(key: str, params: Path) -> None:
    apply_overrides(params, [setting(key, ["one", "two"])])
    assert [line.strip("+ ") for line in changed_lines(params) if line.startswith("+")] == ["- one", "- two"]
    assert all(line.strip("- ") in map(str_of, VALUES[key]) for line in changed_lines(params) if line.startswith("-"))


def str_of(value: Any) -> str:
    return str(value).lower()


def test_an_external_set_is_added_without_touching_other_lines(params: Path) -> None:
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    apply_overrides(params, ["++external.sector=other-scanner"])
    assert changed_lines(params)[-1] == "+  sector: other-scanner"
    assert len(changed_lines(params)) <= 3
    values["external"] = {**values["external"], "sector": "other-scanner"}
    assert yaml.safe_load(params.read_text(encoding="utf-8")) == values


def test_every_key_is_explained_below_it() -> None:
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    keys = [(line, below) for line, below in itertools.pairwise(lines) if re.match(r"  \w+:|\w+: \S", line)]
    assert len(keys) >= len({".".join(key.split(".")[:2]) for key in VALUES})
    assert [line for line, below in keys if not below.lstrip().startswith("# ")] == []


@pytest.mark.parametrize("key", VALUES)
def test_the_run_cache_of_dvc_tells_values_of_each_key_apart(key: str) -> None:
    """It leaves out keys with the names of what it records of files, and would take an earlier output for another's."""
    section, _, name = key.rpartition(".")
    one, other = ({"params": {"params.yaml": {section: {name: value}}}} for value in (1, 2))
    assert _get_cache_hash(one) != _get_cache_hash(other)
