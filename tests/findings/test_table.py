import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from breast_ultrasound.findings.lesions import find_lesions
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.findings.table import append, finding_rows, read_journal, read_json, write_csv, write_json

MASK = np.eye(4, dtype=bool)
PROBABILITY = np.where(MASK, 255, 0).astype(np.uint8)
SEGMENTED = Segmented(
    number=1,
    mm_per_pixel=(0.2, 0.1),
    mask=MASK,
    probability=PROBABILITY,
    peak_probability=1.0,
    class_probabilities={"benign": 0.2, "malignant": 0.8},
    image_probability=1.0,
    predicted_dice=0.7,
    feature_distance=0.5,
    lesions=find_lesions(MASK, PROBABILITY, (0.2, 0.1)),
)


def test_the_class_is_the_most_probable_one_and_none_without_a_class_head() -> None:
    (row,) = finding_rows("a.bmp", "a.png", SEGMENTED, "hash")
    assert (row["lesion"], row["class"], row["p_malignant"]) == (1, "malignant", 0.8)
    (row,) = finding_rows("a.bmp", "a.png", replace(SEGMENTED, class_probabilities={}), "hash")
    assert row["class"] is None


def test_a_row_names_its_files_and_holds_the_size_of_the_frame_and_of_its_pixels() -> None:
    (row,) = finding_rows("a.bmp", "a.png", SEGMENTED, "hash")
    assert (row["image"], row["mask"], row["frame"], row["network"]) == ("a.bmp", "a.png", 1, "hash")
    assert (row["height"], row["width"], row["mm_per_row"], row["mm_per_column"]) == (4, 4, 0.2, 0.1)


def test_a_frame_without_a_lesion_has_its_own_peak_and_no_sizes() -> None:
    clean = replace(SEGMENTED, lesions=[], peak_probability=0.4)
    (row,) = finding_rows("a.bmp", "a.png", clean, "hash")
    assert (row["lesion"], row["area"], row["mean_probability"], row["peak_probability"]) == (0, None, None, 0.4)


def test_rows_come_back_as_they_were_written_whatever_the_name(tmp_path: Path) -> None:
    names = ["a.png", 'Größe, "b"\n.png', "扫描.png"]
    rows = [row for name in names for row in finding_rows(name, "mask.png", SEGMENTED, "hash")]
    write_json(rows, tmp_path / "findings.json")
    write_csv(rows, tmp_path / "findings.csv")
    assert read_json(tmp_path / "findings.json") == rows
    with (tmp_path / "findings.csv").open(newline="", encoding="utf-8") as file:
        assert [row["image"] for row in csv.DictReader(file)] == names


def test_a_journal_gives_back_all_rows_but_those_of_a_line_that_was_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert read_journal(journal) == []
    first, second = (finding_rows(name, "mask.png", SEGMENTED, "hash") for name in ("a\u2028.png", "扫描\n"))
    append(first, journal)
    length = journal.stat().st_size
    append(second, journal)
    whole = journal.read_bytes()
    assert read_journal(journal) == first + second
    for cut in (length, length + 1, len(whole) - 1):
        journal.write_bytes(whole[:cut])
        assert read_journal(journal) == first
