"""The names that the package offers to notebooks and scripts."""

import doctest
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run

import breast_ultrasound


def test_the_page_about_the_library_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    shutil.copyfile(ROOT / "data/folds.csv", tmp_path / "data/folds.csv")
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(ROOT / "docs/library.md"), module_relative=False)
    assert results.attempted > 20
    assert results.failed == 0


@pytest.mark.parametrize("name", breast_ultrasound.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    assert getattr(breast_ultrasound, name) is not None
    assert name in dir(breast_ultrasound)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = breast_ultrasound.nothing


def test_importing_the_package_loads_nothing_that_takes_long() -> None:
    code = "import sys, breast_ultrasound; print(*sys.modules)"
    loaded = set(run(ROOT, sys.executable, "-c", code).split())
    assert {"numpy", "cv2", "pandas", "pydantic", "openvino", "keras", "tensorflow"} & loaded == set()
