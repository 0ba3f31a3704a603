from pathlib import Path

import numpy as np
import pytest

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import append, atomic_write, written_rows


def test_an_output_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scores.csv"
    with atomic_write(target) as aside:
        aside.write_text("new")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["scores.csv"]
    assert target.read_text() == "new"


def test_a_folder_replaces_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "raw"
    target.mkdir()
    (target / "old").touch()
    with atomic_write(target) as aside:
        aside.mkdir()
        (aside / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "output"
    target.write_text("old")

    def fail() -> None:
        with atomic_write(target) as aside:
            aside.mkdir() if kind == "folder" else aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert target.read_text() == "old"


def test_the_error_of_a_failing_disk_names_the_output(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_write(tmp_path / "scores.csv"), Path("/dev/full").open("w") as full:
            full.write("more than it holds")

    with pytest.raises(UserError, match=r"scores\.csv: could not be written .*No space left"):
        fill()


def test_rows_written_one_by_one_make_the_file_that_numpy_writes(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "whole.npy", rows)
    with written_rows(tmp_path / "rows.npy", rows.shape) as add:
        for part in (rows[:2], rows[2], rows[3:, :, ::-1][:, :, ::-1]):
            add(part)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_what_is_appended_stands_at_the_end_and_a_failing_disk_is_an_error(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        append(tmp_path / "rows", data)
    assert (tmp_path / "rows").read_bytes() == b"onetwo"
    with pytest.raises(UserError, match=r"/dev/full: could not be written .*No space left"):
        append(Path("/dev/full"), b"more than it holds")
