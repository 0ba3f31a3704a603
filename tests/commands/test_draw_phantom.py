import sys
from pathlib import Path

import pytest

from breast_ultrasound.cases.raw import read_cases
from breast_ultrasound.commands.phantom import main


def draw(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["phantom", *arguments])
    main()


def test_the_folder_holds_the_cases_that_were_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch, str(tmp_path / "phantom"), "--images", "20", "--sector", "60")
    assert len(read_cases(tmp_path / "phantom")) == 20


def test_the_folder_and_its_content_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(monkeypatch, str(tmp_path / "phantom"), "--images", "20")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'phantom'}: 20 images")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (("--sector", "200"), "--sector 200.0: Input should be less than or equal to 120"),
        (("--depth", "0"), "--depth 0.0: Input should be greater than 0"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(
    setting: tuple[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=message):
        draw(monkeypatch, str(tmp_path / "phantom"), *setting)
    assert not (tmp_path / "phantom").exists()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="exists already"):
        draw(monkeypatch, str(tmp_path))
    assert list(tmp_path.iterdir()) == []
