from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.common import params
from stages.common.errors import UserError

COMMITTED = Path("params.yaml")


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """The committed params with one key set, `a.b` for a key of a section."""
    values = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))
    *sections, name = key.split(".")
    target = values
    for section in sections:
        target = target[section]
    target[name] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_committed_file_is_valid() -> None:
    assert params.load(COMMITTED).data.source == "phantom"


def test_every_key_has_a_comment() -> None:
    lines = COMMITTED.read_text(encoding="utf-8").splitlines()
    sections = {
        "data:",
        "prepare:",
        "audit:",
        "split:",
        "network:",
        "augment:",
        "train:",
        "predict:",
        "postprocess:",
        "evaluate:",
    }
    for above, line in pairwise(lines):
        if line and not line.lstrip().startswith("#") and line not in sections:
            assert above.lstrip().startswith("#"), f"{line!r} has no comment"


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("1e-3", 1e-3)])
def test_a_number_that_yaml_reads_as_text_becomes_a_number(tmp_path: Path, text: str, number: float) -> None:
    assert params.load(changed(tmp_path, "train.learning_rate", text)).train.learning_rate == number


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train.epoch", 3, "train.epoch"),
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.epochs", 2.5, "train.epochs is 2.5"),
        ("train.epochs", "many", "train.epochs is 'many'"),
        ("train.epochs", True, "train.epochs is True"),
        ("train.learning_rate", "fast", "train.learning_rate is 'fast'"),
        ("train.learning_rate", float("nan"), "train.learning_rate is nan"),
        ("train.device", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("network.stem", 3, "1, 2 or 4"),
        ("data.source", "kaggle", "'phantom', 'busi' or 'custom'"),
        ("data.source", "custom", "needs the path"),
        ("data.archive", "busi.zip", "source phantom takes none"),
        ("split.run", [0, 5], "from 0 to 4"),
        ("split.run", [0, 0], "different folds"),
        ("split.run", [], "split.run is []"),
        ("split.folds", 2, "split.folds is 2"),
        ("prepare.size", 100, "multiple of"),
        ("seed", -1, "seed is -1"),
    ],
)
def test_a_bad_value_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: Any, told: str
) -> None:
    path = changed(tmp_path, key, value)
    with pytest.raises(UserError) as refusal:
        params.load(path)
    assert told in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: -1\nextra: 1\n")
    with pytest.raises(UserError) as refusal:
        params.load(path)
    assert {"seed", "extra", "data", "train"} <= {
        line.split()[1].strip(":") for line in str(refusal.value).splitlines()
    }


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml"):
        params.load(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        params.load(tmp_path / "params.yaml")


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        params.load(COMMITTED).train.epochs = 1  # pyright: ignore[reportAttributeAccessIssue]
