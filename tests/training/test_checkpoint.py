import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.training.checkpoint import Checkpoint, CheckpointFile, training_key

STATE = Checkpoint(
    variables=[np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), np.array(7, np.int64)],
    best_weights=[np.linspace(0, 1, 5, dtype=np.float32)],
    stopping={"wait": 2, "best": 0.1 + 0.2, "best_epoch": 4},
    logs=[{"loss": 1 / 3}, {"loss": 1e-7}],
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a checkpoint."""
    path = tmp_path_factory.mktemp("stored") / "fold-0.checkpoint"
    CheckpointFile(path, "key").save(STATE)
    return path.read_bytes()


def load(folder: Path, content: bytes, key: str = "key") -> Checkpoint | None:
    path = folder / "fold-0.checkpoint"
    path.write_bytes(content)
    return CheckpointFile(path, key).load()


def test_what_is_read_is_what_was_written(stored: bytes, tmp_path: Path) -> None:
    checkpoint = load(tmp_path, stored)
    assert checkpoint
    assert (checkpoint.stopping, checkpoint.logs) == (STATE.stopping, STATE.logs)
    for ours, theirs in ((checkpoint.variables, STATE.variables), (checkpoint.best_weights, STATE.best_weights)):
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(ours, theirs, strict=True))


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(
    stored: bytes, tmp_path_factory: pytest.TempPathFactory, position: float, bit: int
) -> None:
    content = bytearray(stored)
    content[int(position * len(content))] ^= 1 << bit
    assert load(tmp_path_factory.getbasetemp(), bytes(content)) is None


@given(length=st.floats(0, 1, exclude_max=True))
def test_no_cut_file_passes(stored: bytes, tmp_path_factory: pytest.TempPathFactory, length: float) -> None:
    assert load(tmp_path_factory.getbasetemp(), stored[: int(length * len(stored))]) is None


def test_another_training_and_none_have_no_checkpoint(stored: bytes, tmp_path: Path) -> None:
    assert load(tmp_path, stored, "another key") is None
    assert CheckpointFile(tmp_path / "none.checkpoint", "key").load() is None


def test_the_key_depends_on_values_names_and_contents_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("b", "a"):
        (tmp_path / "folder" / name).write_text(name)
    key = training_key({"seed": 1}, [tmp_path / "folder"])
    os.utime(tmp_path / "folder" / "a", (0, 0))
    assert training_key({"seed": 1}, [tmp_path / "folder"]) == key
    assert training_key({"seed": 2}, [tmp_path / "folder"]) != key
    (tmp_path / "folder" / "a").write_text("changed")
    changed = training_key({"seed": 1}, [tmp_path / "folder"])
    (tmp_path / "folder" / "a").rename(tmp_path / "folder" / "c")
    assert len({key, changed, training_key({"seed": 1}, [tmp_path / "folder"])}) == 3
