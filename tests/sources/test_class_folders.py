from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Write

from breast_ultrasound.cases.raw import read_merged_mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.class_folders import find_root, list_cases


def test_cases_are_sorted_by_class_and_number_with_all_their_masks(release: Path, write: Write) -> None:
    write("release/benign/benign (10).png", np.zeros((4, 4), np.uint8))
    write("release/benign/benign (10)_mask.png", np.zeros((4, 4), np.uint8))
    cases = list_cases(release)
    assert [case.id for case in cases][:4] == ["benign (1)", "benign (2)", "benign (10)", "malignant (1)"]
    assert [path.name for path in cases[1].masks] == ["benign (2)_mask.png", "benign (2)_mask_1.png"]


def test_the_masks_of_an_image_are_merged(release: Path) -> None:
    mask = read_merged_mask(list_cases(release)[1], 40, 60)
    assert mask[5:15, 10:20].all()
    assert mask[20:30, 10:20].all()
    assert mask.sum() == 200


def test_the_root_is_found_below_other_folders(release: Path, tmp_path: Path) -> None:
    (tmp_path / "release" / "__MACOSX" / "benign").mkdir(parents=True)
    assert find_root(tmp_path) == release


def test_what_systems_leave_behind_is_let_be(release: Path) -> None:
    (release / "benign" / ".DS_Store").touch()
    (release / "benign" / "Thumbs.db").touch()
    (release / "readme.txt").touch()
    assert len(list_cases(release)) == 6


BREAK: dict[str, tuple[Callable[[Path], object], str]] = {
    "an image without a mask": (
        lambda r: (r / "benign/benign (1)_mask.png").unlink(),
        r"benign \(1\)\.png: has no mask",
    ),
    "a mask without an image": (
        lambda r: (r / "normal/normal (2).png").unlink(),
        r"normal \(2\)_mask\.png: has no image",
    ),
    "an unknown class folder": (lambda r: (r / "cyst").mkdir(), "cyst: unknown class folder"),
    "an empty folder": (lambda r: [path.unlink() for path in (r / "normal").iterdir()], "normal: is empty"),
    "an unknown file": (lambda r: (r / "normal/notes.txt").touch(), r"notes\.txt: not a name"),
    "a file in another class": (lambda r: (r / "normal/benign (9).png").touch(), r"benign \(9\)\.png: not a name"),
    "a number that is there twice": (lambda r: (r / "normal/normal (01).png").touch(), "occurs twice"),
}


@pytest.mark.parametrize("name", BREAK)
def test_a_broken_layout_is_refused_by_name(release: Path, name: str) -> None:
    damage, expected = BREAK[name]
    damage(release)
    with pytest.raises(UserError, match=expected):
        list_cases(release)


def test_a_mask_of_another_size_is_refused_by_name(release: Path) -> None:
    with pytest.raises(UserError, match=r"benign \(2\)_mask\.png: is 60×40 pixels, its image 61×40"):
        read_merged_mask(list_cases(release)[1], 40, 61)


def test_no_class_folder_or_two_releases_are_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are none"):
        find_root(release / "benign")
    (tmp_path / "copy" / "benign").mkdir(parents=True)
    with pytest.raises(UserError, match="copy, release"):
        find_root(tmp_path)
