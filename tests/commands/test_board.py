"""The board: its page follows from its entries, and entries that say too little are refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT

from breast_ultrasound.commands.board import render_board
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.submissions.board import BOARD, read_entries
from breast_ultrasound.submissions.images_to_score import digest_folds


def entry(system: str, lesion_dice: float | None, **changed: Any) -> dict[str, Any]:
    """An entry of a system that was scored on BUSI."""

    def figure(value: float | None) -> dict[str, float] | None:
        return None if value is None else {"value": value, "low": value / 2, "high": (1 + value) / 2}

    busi = {"folds": "abc", "tested": [0, 1], "images": 10, "dice": figure(0.5), "normal_specificity": None}
    busi |= {"lesion_dice": figure(lesion_dice), "missed_lesions": figure(0.108)} | changed.pop("busi", {})
    texts = {"system": system, "author": "somebody", "training": "none", "masks": "no"}
    return texts | {"scoring_rules": 1, "sources": {"busi": busi}} | changed


def board(folder: Path, *entries: dict[str, Any]) -> str:
    for number, content in enumerate(entries):
        (folder / f"{number}.json").write_text(json.dumps(content), encoding="utf-8")
    return render_board(read_entries(folder))


def test_the_committed_page_is_that_of_the_committed_entries() -> None:
    page = (ROOT / BOARD).with_suffix(".md").read_text(encoding="utf-8")
    assert page == render_board(read_entries(ROOT / BOARD)), "run `uv run board`"


def test_the_folds_of_busi_on_the_board_are_the_published_ones() -> None:
    published = digest_folds(pd.read_csv(ROOT / "docs/folds/busi.csv"))
    assert {entry.sources["busi"].folds for entry in read_entries(ROOT / BOARD)} == {published}


def test_the_best_system_comes_first(tmp_path: Path) -> None:
    page = board(tmp_path, entry("second", 0.6), entry("none", None), entry("first", 0.7))
    rows = [line.split(" | ") for line in page.splitlines() if "0.500 (0.250" in line]
    assert [row[0] for row in rows] == ["| first", "| second", "| none"]
    assert rows[0][1:] == ["0.700 (0.350 to 0.850)", "10.8% (5.4 to 55.4%)", "–", "0.500 (0.250 to 0.750) |"]


def test_only_systems_that_were_scored_on_the_same_images_are_in_one_table(tmp_path: Path) -> None:
    page = board(
        tmp_path,
        entry("all", 0.6),
        entry("one fold", 0.7, busi={"tested": [0]}),
        entry("other folds", 0.8, busi={"folds": "def"}),
    )
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["## busi, folds 0, 1", "## busi, fold 0", "## busi, folds 0, 1", "## Systems"]
    assert [digest in page for digest in ("`abc`", "`def`")] == [True, True]


def test_a_system_of_several_files_is_described_once(tmp_path: Path) -> None:
    page = board(tmp_path, entry("x", 0.6), entry("x", 0.7, busi={"tested": [0]}))
    assert [line for line in page.splitlines() if "somebody" in line] == ["| x | none | somebody | no |"]


def test_files_of_a_system_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1.json: author differs from that of another file of x"):
        board(tmp_path, entry("x", 0.6), entry("x", 0.7, author="another"))


def test_the_source_of_most_systems_comes_first(tmp_path: Path) -> None:
    few = entry("few", 0.9)
    few["sources"] = {"a": few["sources"]["busi"]}
    page = board(tmp_path, few, entry("one", 0.6), entry("two", 0.7))
    assert page.index("## busi") < page.index("## a,")


def test_every_fault_of_every_entry_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        board(
            tmp_path, entry("", 0.5, author=""), entry("x", 0.5, colour="red"), entry("x", 0.5, busi={"images": "ten"})
        )
    message = str(refused.value)
    assert "0.json: system is empty" in message
    assert "0.json: author is empty" in message
    assert "1.json: colour: Extra inputs are not permitted" in message
    assert "2.json: sources.busi.images: Input should be a valid integer" in message


def test_text_that_would_break_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0.json: training holds \| or a line end"):
        board(tmp_path, entry("x", 0.5, training="a | b"))
