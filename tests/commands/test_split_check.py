"""How somebody's split is read, and what is made of it; no file of a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Write

from breast_ultrasound.commands.folds.audit import Audit
from breast_ultrasound.commands.folds.checking import check_split, lines
from breast_ultrasound.commands.folds.given import Member, read_split
from breast_ultrasound.commands.folds.matching import match_names
from breast_ultrasound.pipeline.errors import UserError

AUDIT = Audit(
    Path("none.csv"),
    pd.DataFrame(
        {
            "id": ["benign (1)", "benign (2)", "benign (3)", "normal (1)"],
            "source": "busi",
            "patient": "",
            "frame": [0, 0, 1, 2],
            "sweep": [0, 0, 0, 2],
        }
    ),
)


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def parts(path: Path) -> set[tuple[str, str, str]]:
    """What is read of a split: name, part and split of each image."""
    return {(member.name, member.part, member.split) for member in read_split(path)}


def test_a_file_of_nnunet_is_several_splits(tmp_path: Path) -> None:
    splits = [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]
    read = parts(write_text(tmp_path / "splits_final.json", json.dumps(splits)))
    expected = {("a", "train", "split 0"), ("b", "val", "split 0"), ("b", "train", "split 1"), ("a", "val", "split 1")}
    assert read == expected


def test_a_datalist_of_monai_has_folds_or_lists_by_part(tmp_path: Path) -> None:
    datalist = {
        "labels": {"0": "background"},
        "training": [{"image": "images/a.png", "label": "labels/a.png", "fold": 0}, {"image": "b.png"}],
        "testing": ["c.png"],
    }
    read = parts(write_text(tmp_path / "datalist.json", json.dumps(datalist)))
    assert read == {("images/a.png", "fold 0", ""), ("b.png", "training", ""), ("c.png", "testing", "")}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("file,split\na.png,train\nb.png,test\n", {("a.png", "train", ""), ("b.png", "test", "")}),
        ("ID;kFold\na;1\nb;2\n", {("a", "fold 1", ""), ("b", "fold 2", "")}),
        ("id,fold\na,0\nb,1\nc,-1\nd,\n", {("a", "fold 0", ""), ("b", "fold 1", "")}),
    ],
)
def test_a_table_has_a_column_of_images_and_one_of_parts(
    table: str, expected: set[tuple[str, str, str]], tmp_path: Path
) -> None:
    assert parts(write_text(tmp_path / "split.csv", table)) == expected


@pytest.mark.parametrize("layout", ["{part}/{name}.png", "{part}/images/{name}.png", "images/{part}/{name}.png"])
def test_folders_of_parts_hold_images_and_their_masks_are_none(layout: str, write: Write, tmp_path: Path) -> None:
    grey = np.zeros((4, 4), np.uint8)
    for part, name in (("train", "a"), ("test", "b")):
        image = layout.format(part=part, name=name)
        write(f"split/{image}", grey)
        mask = image.replace("images", "masks") if "images" in image else image.replace(".png", "_mask.png")
        write(f"split/{mask}", grey)
    members = read_split(tmp_path / "split")
    assert [(member.part, Path(member.name).stem) for member in members] == [("test", "b"), ("train", "a")]
    assert all(member.file and member.file.exists() for member in members)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("split.json", "nothing", "not a split as nnU-Net"),
        ("split.json", "7", "not a split as nnU-Net"),
        ("split.json", '{"train": [{"label": "a.png"}]}', "not a split as nnU-Net"),
        ("split.json", '{"train": ["a"]}', "holds the part train alone"),
        ("split.json", "[]", "holds no image"),
        ("split.csv", "image,label\na,b\n", "needs a column of images .* its columns are image, label"),
        ("split.csv", "image,split,fold\na,train,0\n", "one of parts"),
        ("split.txt", "a", "is no folder and neither"),
    ],
)
def test_what_is_no_split_is_refused(name: str, content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{name}: .*{message}"):
        read_split(write_text(tmp_path / name, content))


def test_images_outside_the_folders_of_parts_are_refused(write: Write, tmp_path: Path) -> None:
    write("split/train/a.png", np.zeros((4, 4), np.uint8))
    write("split/b.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match=r"1 images are in no folder of a part, such as b\.png"):
        read_split(tmp_path / "split")


def test_a_name_that_two_sources_have_means_neither() -> None:
    audit = pd.DataFrame({"id": ["a x", "b x", "b y"], "source": ["a", "b", "b"]})
    assert match_names(["x", "a x", "y.png"], audit) == [None, "a x", "b y"]


def check(*members: Any) -> list[str]:
    """The lines of the check of some images, each a name, a part and possibly a split."""
    return list(lines(check_split([Member(*member) for member in members], AUDIT)))


def test_near_duplicates_and_sweeps_in_several_parts_are_listed() -> None:
    printed = check(("benign (1)", "train"), ("benign (2)", "test"), ("benign (3)", "test"), ("normal (1)", "test"))
    assert printed == [
        "near-duplicates in several parts: 1",
        "  benign (1) (train); benign (2) (test)",
        "sweeps in several parts: 1",
        "  benign (1) (train); benign (2) (test); benign (3) (test)",
        "patients in several parts: 0",
    ]


def test_near_duplicates_alone_are_no_sweep() -> None:
    printed = check(("benign (1)", "train"), ("benign (2)", "test"))
    assert "sweeps in several parts: 0" in printed


def test_what_several_splits_part_counts_once() -> None:
    images = (("benign (1)", 0), ("benign (2)", 1), ("normal (1)", 2))
    printed = check(
        *((name, "val" if fold == split else "train", f"split {split}") for split in range(3) for name, fold in images)
    )
    assert printed[:2] == [
        "near-duplicates in several parts: 1",
        "  benign (1) (val of split 0); benign (2) (val of split 1)",
    ]


def test_an_image_that_is_in_two_parts_is_listed() -> None:
    printed = check(("normal (1)", "train"), ("normal (1).png", "test"))
    assert printed[:2] == ["near-duplicates in several parts: 1", "  normal (1) (train and test)"]


def test_an_image_that_the_audit_does_not_hold_is_named_and_does_not_pass() -> None:
    members = [Member("benign (1)", "train"), Member("normal (1)", "test"), Member("x.png", "test")]
    result = check_split(members, AUDIT)
    assert not result.passed
    assert list(lines(result))[-2:] == ["not checked, since the audit does not hold them: 1", "  x.png"]
    assert check_split(members[:2], AUDIT).passed


def test_an_audit_of_other_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"none\.csv: holds none of the images, such as x\. It is an audit of busi"):
        check_split([Member("x", "train"), Member("y", "test")], AUDIT)
