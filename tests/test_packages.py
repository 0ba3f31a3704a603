"""What has to be installed for which command."""

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import ROOT, imported_names, packages_by_module

from breast_ultrasound.commands import with_pipeline
from breast_ultrasound.inference.choice import PRETRAINED

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = Path("breast_ultrasound")

# Loaded where a cluster is named alone, and so of the extra `cluster`.
OF_CLUSTER = PACKAGE / "pipeline/cluster.py"


def modules(start: Path) -> set[Path]:
    """The files of the library that a module imports, itself or through others, also within functions."""
    imported: set[Path] = set()
    waiting = {start}
    while waiting:
        file = waiting.pop()
        imported.add(file)
        paths = [Path(name.replace(".", "/")) for name in imported_names(ROOT / file)]
        files = {path.with_suffix(".py") for path in paths} | {path / "__init__.py" for path in paths}
        waiting |= {file for file in files if (ROOT / file).exists()} - imported - {OF_CLUSTER}
    return imported


def third_parties(files: Iterable[Path]) -> set[str]:
    tops = {name.partition(".")[0] for file in files for name in imported_names(ROOT / file)}
    return tops - sys.stdlib_module_names - {PACKAGE.name}


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("command", ["segment", "page"])
def test_segment_and_page_need_the_core_dependencies_alone(command: str) -> None:
    core = names(PROJECT["project"]["dependencies"])
    # FastAPI is a layer over Starlette, and its users import from both.
    allowed = core | names(importlib.metadata.requires("fastapi") or ())
    owners = packages_by_module()
    needed = third_parties(modules(PACKAGE / f"commands/{command}/command.py"))
    assert len(needed) > 5
    assert {name for name in needed if not allowed & {owner.lower() for owner in owners[name]}} == set()


def test_the_core_dependencies_are_no_more_than_that() -> None:
    both = modules(PACKAGE / "commands/segment/command.py") | modules(PACKAGE / "commands/page/command.py")
    owners = packages_by_module()
    needed = {owner.lower() for name in third_parties(both) for owner in owners[name]}
    assert names(PROJECT["project"]["dependencies"]) - needed == set()


def test_uv_installs_the_pipeline_and_the_tests_by_default() -> None:
    assert set(PROJECT["tool"]["uv"]["default-groups"]) == set(PROJECT["dependency-groups"])


def test_the_network_lies_within_the_package() -> None:
    assert PRETRAINED.is_relative_to(ROOT / PACKAGE)
    assert PRETRAINED.exists()


@pytest.mark.parametrize("command", ["cases", "compare", "phantom", "recipe"])
def test_a_command_of_the_pipeline_says_in_a_sentence_that_its_packages_are_missing(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROJECT["project"]["scripts"][command] == f"{with_pipeline.__name__}:{command}"
    monkeypatch.setitem(sys.modules, "dvc", None)
    with pytest.raises(SystemExit, match=rf"error: {command}: the packages of the pipeline .*`uv run {command}`"):
        getattr(with_pipeline, command)()


def test_a_command_of_the_pipeline_runs_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["phantom", "--help"])
    with pytest.raises(SystemExit):
        with_pipeline.phantom()
    assert "usage: phantom" in capsys.readouterr().out
