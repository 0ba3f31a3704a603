import csv
from pathlib import Path

import numpy as np

from breast_ultrasound.findings.lesions import find_lesions
from breast_ultrasound.findings.table import Answer, append, read_journal, read_json, rows_of, write_csv, write_json

MASK = np.eye(4, dtype=bool)
LESIONS = find_lesions(MASK, np.where(MASK, 255, 0).astype(np.uint8))


def test_the_class_is_the_most_probable_one_and_none_without_a_class_head() -> None:
    (row,) = rows_of({"image": "a.png"}, Answer(LESIONS, 1.0, {"benign": 0.2, "malignant": 0.8}, 0.7), "hash")
    assert (row["lesion"], row["class"], row["p_malignant"]) == (1, "malignant", 0.8)
    (row,) = rows_of({"image": "a.png"}, Answer(LESIONS, 1.0, {}, 0.7), "hash")
    assert row["class"] is None


def test_a_frame_without_a_lesion_says_how_near_it_came() -> None:
    (row,) = rows_of({"image": "a.png"}, Answer([], 0.4, {}, 0.9), "hash")
    assert (row["lesion"], row["area"], row["mean_probability"], row["peak_probability"]) == (0, None, None, 0.4)


def test_rows_come_back_as_they_were_written_whatever_the_name(tmp_path: Path) -> None:
    names = ["a.png", 'Größe, "b"\n.png', "扫描.png"]
    rows = [row for name in names for row in rows_of({"image": name}, Answer(LESIONS, 1.0, {}, 0.7), "hash")]
    write_json(rows, tmp_path / "findings.json")
    write_csv(rows, tmp_path / "findings.csv")
    assert read_json(tmp_path / "findings.json") == rows
    with (tmp_path / "findings.csv").open(newline="", encoding="utf-8") as file:
        assert [row["image"] for row in csv.DictReader(file)] == names


def test_a_journal_gives_back_all_rows_but_those_of_a_line_that_was_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert read_journal(journal) == []
    first, second = (
        rows_of({"image": name}, Answer(LESIONS, 1.0, {}, 0.7), "hash") for name in ("a\u2028.png", "扫描\n")
    )
    append(first, journal)
    length = journal.stat().st_size
    append(second, journal)
    whole = journal.read_bytes()
    assert read_journal(journal) == first + second
    for cut in (length, length + 1, len(whole) - 1):
        journal.write_bytes(whole[:cut])
        assert read_journal(journal) == first
