"""`folds` on a small run: what it hands out, and what it refuses."""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, rectangle

from breast_ultrasound.auditing.crossings import find_crossings
from breast_ultrasound.cases.folds import FOLDS, GROUPS, UNUSED
from breast_ultrasound.cases.images import read_grey, read_mask, write_png
from breast_ultrasound.cases.raw import RAW, Case, image_file, mask_file, write_pictures, write_sources, write_table
from breast_ultrasound.commands.folds.command import main
from breast_ultrasound.pipeline.tables import read_table

# Two near-duplicates, the frames of a sweep, two images of a patient, one that is alone and one that is not used.
IMAGES = pd.DataFrame(
    [
        ("benign (1)", "benign", "", 0, 0, 0, 0, "no"),
        ("benign (2)", "benign", "", 0, 0, 0, 0, "no"),
        ("benign (3)", "benign", "", 1, 1, 1, 1, "no"),
        ("benign (4)", "benign", "", 2, 1, 1, 1, "no"),
        ("benign (5)", "benign", "P1", 3, 3, 2, 2, "no"),
        ("benign (6)", "benign", "P1", 4, 4, 2, 2, "no"),
        ("normal (1)", "normal", "", 5, 5, 5, 2, "no"),
        ("normal (2)", "normal", "", 6, 6, 6, UNUSED, "conflict"),
    ],
    columns=["id", "class", "patient", "frame", "sweep", "group", "fold", "dropped"],
)

FoldsCommand = Callable[..., None]


@pytest.fixture
def folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FoldsCommand:
    """The command, in a folder with a small run."""
    monkeypatch.chdir(tmp_path)
    cases = [
        Case(case_id, cls, image_file(RAW, cls, case_id), (mask_file(RAW, cls, case_id, 0),), source="own")
        for case_id, cls in IMAGES[["id", "class"]].to_numpy().tolist()
    ]
    rng = np.random.default_rng(0)
    for number, case in enumerate(cases):
        case.image.parent.mkdir(parents=True, exist_ok=True)
        mask = rectangle(40, 50 + number, slice(5, 15), empty=case.cls == "normal")
        write_pictures(case, rng.integers(0, 256, mask.shape, np.uint8), [mask > 0])
    write_table(RAW, cases)
    write_sources(RAW, [])
    IMAGES.drop(columns="fold").assign(source="own").to_csv(GROUPS, index=False)
    IMAGES[["id", "class", "group", "fold"]].assign(source="own", validation=UNUSED).to_csv(FOLDS, index=False)

    def command(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["folds", *arguments])
        main()

    return command


def check_pair(image: Path, label: Path, case_id: str) -> None:
    """The image and its mask are those of the run, on the native grid, the mask with 0 and 1."""
    raw = RAW / case_id.split(maxsplit=1)[0] / case_id
    assert np.array_equal(read_grey(image), read_grey(raw.with_name(f"{case_id}.png")))
    mask = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert np.array_equal(mask, read_mask(raw.with_name(f"{case_id}_mask.png")).astype(np.uint8))


def test_the_table_says_of_each_image_its_fold_what_joins_its_group_and_why_it_has_no_fold(folds: FoldsCommand) -> None:
    folds("--format", "csv", "out/folds.csv")
    table = read_table(Path("out/folds.csv"))
    columns = ["id", "class", "patient", "frame", "sweep", "group", "fold", "dropped"]
    pd.testing.assert_frame_equal(table[columns], IMAGES, check_dtype=False)
    joined = ["near-duplicates", "near-duplicates", "sweeps", "sweeps", "patients", "patients"]
    assert table["joined_by"].fillna("").tolist() == [*joined, "", ""]
    assert table["sha256"].nunique() == len(IMAGES)


def test_nnunet_has_each_image_that_is_used_and_a_split_for_each_fold(folds: FoldsCommand) -> None:
    folds("--format", "nnunet", "Dataset007_Own")
    out, used = Path("Dataset007_Own"), IMAGES[IMAGES["fold"] != UNUSED]
    splits = json.loads((out / "splits_final.json").read_text(encoding="utf-8"))
    assert [split["val"] for split in splits] == [ids.tolist() for _, ids in used.groupby("fold")["id"]]
    for split in splits:
        assert sorted(split["train"] + split["val"]) == sorted(used["id"])
    assert sorted(path.name for path in (out / "imagesTr").iterdir()) == sorted(f"{id_}_0000.png" for id_ in used["id"])
    for case_id in used["id"]:
        check_pair(out / f"imagesTr/{case_id}_0000.png", out / f"labelsTr/{case_id}.png", case_id)
    about = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    assert about["numTraining"] == len(used)


def test_the_datalist_of_monai_has_each_image_that_is_used_with_its_fold(folds: FoldsCommand) -> None:
    folds("--format", "monai", "out")
    out, used = Path("out"), IMAGES[IMAGES["fold"] != UNUSED]
    training = json.loads((out / "datalist.json").read_text(encoding="utf-8"))["training"]
    assert {item["id"]: item["fold"] for item in training} == dict(zip(used["id"], used["fold"], strict=True))
    for item in training:
        check_pair(out / item["image"], out / item["label"], item["id"])


@pytest.mark.parametrize("name", ["nnunet", "monai"])
def test_a_folder_names_what_no_fold_uses(name: str, folds: FoldsCommand) -> None:
    folds("--format", name, "Dataset007_Own")
    table = read_table(Path("Dataset007_Own/folds.csv")).set_index("id")
    assert table.loc["normal (2)", "dropped"] == "conflict"


def test_what_is_there_is_not_written_over(folds: FoldsCommand, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.csv").write_text("mine")
    with pytest.raises(SystemExit, match=r"mine\.csv: exists already"):
        folds("--format", "csv", "mine.csv")
    assert Path("mine.csv").read_text() == "mine"


def test_a_name_that_nnunet_would_not_read_is_refused(folds: FoldsCommand) -> None:
    with pytest.raises(SystemExit, match="Dataset501_BUSI"):
        folds("--format", "nnunet", "busi")
    assert not Path("busi").exists()


def test_data_that_is_not_there_is_named(folds: FoldsCommand) -> None:
    GROUPS.unlink()
    (RAW / "cases.csv").unlink()
    with pytest.raises(SystemExit, match=r"groups\.csv, data/raw/cases\.csv: not found"):
        folds("--format", "csv", "out.csv")


def test_tables_of_different_images_are_refused(folds: FoldsCommand) -> None:
    read_table(GROUPS).iloc[1:].to_csv(GROUPS, index=False)
    with pytest.raises(SystemExit, match="hold different images"):
        folds("--format", "csv", "out.csv")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--format csv",
        "--format csv out.csv --check split.csv",
        "--check split.csv out.csv",
        "--format csv out --html x",
    ],
)
def test_a_command_line_that_says_too_little_or_too_much_is_refused(line: str, folds: FoldsCommand) -> None:
    with pytest.raises(SystemExit) as end:
        folds(*line.split())
    assert end.value.code == 2


def write_split(*names: str) -> None:
    """Write a split that trains on the first image and tests on the others."""
    rows = [f"{name},{'test' if place else 'train'}\n" for place, name in enumerate(names)]
    Path("split.csv").write_text("".join(["image,split\n", *rows]), encoding="utf-8")


@pytest.mark.parametrize(("name", "file"), [("csv", ""), ("nnunet", "splits_final.json"), ("monai", "datalist.json")])
def test_what_is_handed_out_passes_the_check(
    name: str, file: str, folds: FoldsCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    out = "own.csv" if name == "csv" else "Dataset007_Own"
    folds("--format", name, out)
    folds("--check", str(Path(out) / file))
    assert "near-duplicates in several parts: 0" in capsys.readouterr().out


def test_a_split_that_parts_something_ends_with_exit_code_1(folds: FoldsCommand) -> None:
    write_split("benign (1)", "benign (2).png")
    with pytest.raises(SystemExit) as end:
        folds("--check", "split.csv")
    assert end.value.code == 1


def test_images_in_folders_are_matched_by_their_pixels(folds: FoldsCommand, capsys: pytest.CaptureFixture[str]) -> None:
    for part, case_id in (("train", "benign (1)"), ("test", "benign (2)")):
        Path(part).mkdir()
        colour = cv2.imread(str(RAW / "benign" / f"{case_id}.png"), cv2.IMREAD_COLOR)
        assert colour is not None
        assert cv2.imwrite(f"{part}/{part}.bmp", colour)
    folds("--format", "csv", "folds.csv")
    Path("split").mkdir()
    for part in ("train", "test"):
        Path(part).rename(Path("split") / part)
    for audit in ((), ("--audit", "folds.csv")):
        with pytest.raises(SystemExit):
            folds("--check", "split", *audit)
        assert "  benign (1) (train); benign (2) (test)" in capsys.readouterr().out


def test_the_page_shows_what_is_parted_side_by_side(folds: FoldsCommand) -> None:
    write_split("benign (3)", "benign (4)", "normal (1)")
    with pytest.raises(SystemExit):
        folds("--check", "split.csv", "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert re.findall('alt="(.*?)"', page) == ["benign (3)", "benign (4)"]
    assert "Sweeps in several parts: 1" in page


def test_pictures_of_other_data_that_is_checked_out_are_not_taken(folds: FoldsCommand) -> None:
    folds("--format", "csv", "folds.csv")
    write_split("benign (1)", "benign (2)")
    other = RAW / "benign/benign (2).png"
    write_png(other, 255 - read_grey(other))
    with pytest.raises(SystemExit, match=r"lacks the pictures of 1 images, such as benign \(2\).*of folds\.csv"):
        folds("--check", "split.csv", "--audit", "folds.csv", "--html", "page.html")
    assert not Path("page.html").exists()


def test_a_page_without_pictures_says_how_to_have_them(folds: FoldsCommand) -> None:
    write_split("benign (1)", "benign (2)")
    (RAW / "cases.csv").unlink()
    with pytest.raises(SystemExit, match="lacks the pictures of 2 images, such as benign"):
        folds("--check", "split.csv", "--html", "page.html")


# The folds of BUSI that the documentation holds.

BUSI = ROOT / "docs/folds/busi.csv"


def test_the_folds_of_busi_are_of_the_images_of_the_release() -> None:
    manifest = (ROOT / "breast_ultrasound/sources/releases/busi.sha256").read_text(encoding="utf-8").splitlines()
    images = {(digest, name) for digest, name in (line.split("  ") for line in manifest) if "_mask" not in name}
    table = read_table(BUSI)
    assert {(row["sha256"], f"{row['class']}/{row['id']}.png") for _, row in table.iterrows()} == images


def test_the_page_of_the_folds_of_busi_names_the_file_that_lies_there() -> None:
    page = BUSI.with_name("README.md").read_text(encoding="utf-8")
    assert f"`{hashlib.sha256(BUSI.read_bytes()).hexdigest()}`" in page


def test_the_folds_of_busi_part_nothing() -> None:
    table = read_table(BUSI)
    used = table[table["fold"] != UNUSED]
    assert not any(find_crossings(used).values())
    assert sorted(used["fold"].unique()) == [0, 1, 2, 3, 4]
    assert set(table.loc[table["fold"] == UNUSED, "dropped"]) == {"conflict"}
