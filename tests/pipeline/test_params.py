from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import Section, load
from stages import audit, download, evaluate, export, external, predict, prepare, report, split, train

COMMITTED = Path("params.yaml")

READERS: tuple[type[Section], ...] = tuple(
    stage.Params for stage in (download, prepare, audit, split, train, predict, evaluate, export, external, report)
)


def readers(section: str) -> list[type[Section]]:
    """What the stages that read a section declare."""
    return [reader for reader in READERS if section in reader.model_fields]


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


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__module__)
def test_the_committed_file_is_valid(reader: type[Section]) -> None:
    load(reader, COMMITTED)


def test_every_section_is_read_by_a_stage() -> None:
    assert all(readers(section) for section in yaml.safe_load(COMMITTED.read_text(encoding="utf-8")))


def test_every_key_has_a_comment() -> None:
    lines = COMMITTED.read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        is_section = line.endswith(":") and not line.startswith(" ")
        if line and not line.lstrip().startswith("#") and not is_section:
            assert above.lstrip().startswith("#"), f"{line!r} has no comment"


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("1e-3", 1e-3)])
def test_a_number_that_yaml_reads_as_text_becomes_a_number(tmp_path: Path, text: str, number: float) -> None:
    assert load(train.Params, changed(tmp_path, "train.learning_rate", text)).train.learning_rate == number


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
        ("hardware.device", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("network.stem", 3, "1, 2 or 4"),
        ("data.source", "kaggle", "'phantom', 'busi' or 'custom'"),
        ("data.source", "custom", "needs the path"),
        ("data.archive", "busi.zip", "source phantom takes none"),
        ("split.run", [0, 5], "from 0 to 4"),
        ("split.run", [0, 0], "different folds"),
        ("split.run", [], "split.run is []"),
        ("split.folds", 2, "split.folds is 2"),
        ("prepare.size", 4, "greater than or equal to 16"),
        ("seed", -1, "seed is -1"),
    ],
)
def test_a_bad_value_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: Any, told: str
) -> None:
    path = changed(tmp_path, key, value)
    with pytest.raises(UserError) as refusal:
        load(readers(key.split(".", maxsplit=1)[0])[0], path)
    assert told in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: -1\naudit: {similarity: 2}\n")
    with pytest.raises(UserError) as refusal:
        load(audit.Params, path)
    assert {line.split()[1].strip(":") for line in str(refusal.value).splitlines()} == {
        "seed",
        "audit.similarity",
        "audit.weak_similarity",
        "audit.sweep",
        "audit.conflicts",
        "audit.repeats",
    }


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml"):
        load(split.Params, path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        load(split.Params, tmp_path / "params.yaml")


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(train.Params, COMMITTED).train.epochs = 1  # pyright: ignore[reportAttributeAccessIssue]
