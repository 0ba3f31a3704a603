"""The check of params.yaml before the first stage starts."""

from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, write_params

from stages import check


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's dvc.yaml, which is the current one."""
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_valid_file_passes(in_folder: Path) -> None:
    write_params(in_folder)
    check.main()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("report", "gallery", 0), ("train", "epochs", -1), ("export", "bound", 2), ("predict", "mirror", "yes")],
)
def test_a_wrong_value_of_any_stage_is_named_once(in_folder: Path, section: str, key: str, value: Any) -> None:
    write_params(in_folder, **{section: {key: value}})
    with pytest.raises(SystemExit) as refusal:
        check.main()
    assert str(refusal.value).count(f"{section}.{key} is {value!r}") == 1


def test_a_section_that_no_stage_reads_is_named(in_folder: Path) -> None:
    write_params(in_folder)
    with (in_folder / "params.yaml").open("a") as file:
        file.write("reprot: {gallery: 3}\n")
    with pytest.raises(SystemExit, match="reprot: no stage reads this section"):
        check.main()
