from pathlib import Path

import pytest

from stages.common.files import written_aside


def test_an_output_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scores.csv"
    with written_aside(target) as aside:
        aside.write_text("new")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["scores.csv"]
    assert target.read_text() == "new"


def test_a_folder_replaces_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "raw"
    target.mkdir()
    (target / "old").touch()
    with written_aside(target) as aside:
        aside.mkdir()
        (aside / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "output"
    target.write_text("old")

    def fail() -> None:
        with written_aside(target) as aside:
            aside.mkdir() if kind == "folder" else aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert target.read_text() == "old"
