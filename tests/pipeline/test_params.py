import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PARAMS, ROOT

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import Section, load
from stages import audit, download, evaluate, export, external, predict, prepare, report, split, train

COMMITTED = ROOT / "params.yaml"

READERS: tuple[type[Section], ...] = tuple(
    stage.Params for stage in (download, prepare, audit, split, train, predict, evaluate, export, external, report)
)


def readers(section: str) -> list[type[Section]]:
    """What the stages that read a section declare."""
    return [reader for reader in READERS if section in reader.model_fields]


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """Write the tests' params with one key set, `a.b` for a key of a section."""
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    *sections, name = key.split(".")
    target = values
    for section in sections:
        target = target[section]
    target[name] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__module__)
def test_the_file_that_is_checked_out_is_valid(reader: type[Section]) -> None:
    load(reader, COMMITTED)


def test_every_section_is_read_by_a_stage() -> None:
    assert all(readers(section) for section in yaml.safe_load(COMMITTED.read_text(encoding="utf-8")))


def test_the_tests_bring_params_of_the_same_keys() -> None:
    """So that no test depends on the values that somebody has set in the file that is checked out."""
    committed, own = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (COMMITTED, PARAMS))
    assert keys(own) == keys(committed)


def keys(values: dict[str, Any]) -> dict[str, set[str] | None]:
    """The keys of each section, None of a single value; the names of external sets are no keys."""
    sections = {name: set(value) if isinstance(value, dict) else None for name, value in values.items()}
    return sections | {"external": set()}


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("1e-3", 1e-3)])
def test_a_number_that_yaml_reads_as_text_becomes_a_number(tmp_path: Path, text: str, number: float) -> None:
    assert load(train.Params, changed(tmp_path, "train.learning_rate", text)).train.learning_rate == number


HALF = {"device": "cpu", "precision": "bfloat16", "arithmetic": "native"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.epoch", 3, "train.epoch"),
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.epochs", 2.5, "train.epochs is 2.5"),
        ("train.epochs", "many", "train.epochs is 'many'"),
        ("train.epochs", True, "train.epochs is True"),
        ("train.learning_rate", "fast", "train.learning_rate is 'fast'"),
        ("train.learning_rate", float("nan"), "train.learning_rate is nan"),
        ("hardware.device", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("hardware", HALF | {"arithmetic": "portable"}, "bfloat16 is not portable"),
        ("hardware", HALF | {"precision": "auto", "arithmetic": "portable", "device": "gpu"}, "a GPU is not portable"),
        ("network.stem", 3, "1, 2 or 4"),
        ("data.sources", [], "at least 1 item"),
        ("data.sources", ["a/b.zip", "c/b"], "b is the name of more than one"),
        ("data.archives", {"bus": "busi.zip"}, "bus is none of busi, bus-bra, bus-uclm"),
        ("split.run", [0, 5], "from 0 to 2"),
        ("split.run", [0, 0], "different folds"),
        ("split.run", [], "split.run is []"),
        ("split.folds", 1, "split.folds is 1"),
        ("prepare.side", 4, "greater than or equal to 16"),
        ("export.folds", [7], "export.folds names [7], but split.run is [0, 1]"),
        ("seed", -1, "seed is -1"),
    ],
)
def test_a_bad_value_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    path = changed(tmp_path, key, value)
    with pytest.raises(UserError) as refusal:
        load(readers(key.split(".", maxsplit=1)[0])[0], path)
    assert expected in str(refusal.value)
    assert str(path) in str(refusal.value)


# A number that nobody means, for every number of params.yaml.
ABSURD = {
    "seed": 2**32,
    "data.max_gib": 1e9,
    "data.phantom_images": 10**9,
    "phantom.gain": -1e30,
    "phantom.depth": 1e30,
    "phantom.sector": 121,
    "prepare.side": 10**6,
    "audit.sweep": 1e30,
    "split.folds": 10**9,
    "split.run": [10**9],
    "export.folds": [10**9],
    "network.stem": 8,
    "network.width": 10**6,
    "network.depth": 60,
    "network.decoder": [10**9] * 4,
    "augment.rotate": 1e30,
    "augment.gamma": 1e30,
    "augment.speckle": 1e30,
    "train.epochs": 10**30,
    "train.batch": 10**9,
    "train.learning_rate": 1e30,
    "train.weight_decay": 1e30,
    "train.clip_norm": 1e30,
    "train.patience": 10**9,
    "train.class_weight": 1e30,
    "postprocess.smooth": [0] * 10**4,
    "evaluate.missed_lesion": 1e30,
    "intervals.draws": 10**9,
    "report.examples": 10**9,
    "report.gallery": 10**9,
}


@pytest.mark.parametrize("key", ABSURD)
def test_every_number_has_bounds_that_a_person_would_set(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError) as refusal:
        load(readers(key.split(".", maxsplit=1)[0])[0], changed(tmp_path, key, ABSURD[key]))
    assert re.search(rf"{key}(\.0)? is .*: .*\d", str(refusal.value))


NUMBERS = [key for key, value in ABSURD.items() if not isinstance(value, list)]


@pytest.mark.parametrize("key", NUMBERS)
def test_true_is_no_number(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=f"{key} is True"):
        load(readers(key.split(".", maxsplit=1)[0])[0], changed(tmp_path, key, True))


def test_the_error_names_every_problem(tmp_path: Path) -> None:
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


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        load(split.Params, tmp_path / "params.yaml")


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(train.Params, PARAMS).train.epochs = 1  # pyright: ignore[reportAttributeAccessIssue]
