from pathlib import Path, PurePosixPath

import pytest

from breast_ultrasound.cases.raw import Case
from breast_ultrasound.submissions.matching import match


def case(case_id: str, source: str = "busi") -> Case:
    return Case(case_id, "benign", Path(), (), source=source)


def files_of(names: list[str], *cases: Case) -> dict[str, str]:
    matching = match([PurePosixPath(name) for name in names], cases)
    assert (matching.unmatched, matching.repeated) == ([], {})
    return {case_id: str(file) for case_id, file in matching.file_of.items()}


@pytest.mark.parametrize(
    "name",
    ["benign (1).png", "benign (1)_mask.png", "masks/benign/benign (1).nii.gz", "benign (1).NII", "benign (1)_seg.npy"],
)
def test_a_file_is_named_by_the_id_of_its_image(name: str) -> None:
    assert files_of([name], case("benign (1)"), case("benign (10)")) == {"benign (1)": name}


@pytest.mark.parametrize("name", ["bus-bra bus_0001-l.png", "bus_0001-l.png", "mask_0001-l.png"])
def test_a_file_of_a_release_is_named_as_there(name: str) -> None:
    assert files_of([name], case("bus-bra bus_0001-l", "bus-bra")) == {"bus-bra bus_0001-l": name}


def test_accents_are_the_same_composed_or_not() -> None:
    assert files_of(["Bru\u0308st.png"], case("Br\u00fcst")) == {"Br\u00fcst": "Bru\u0308st.png"}


def test_a_name_that_two_sources_share_is_that_of_no_image() -> None:
    matching = match([PurePosixPath("1.png")], [case("clinic 1", "clinic"), case("practice 1", "practice")])
    assert list(matching.faults()) == [
        "1.png fits no image by its name. Name it by the id of its image, or by the file of the release."
    ]


def test_two_files_of_an_image_and_one_of_none_are_named() -> None:
    names = ["benign (1).png", "more/benign (1)_mask.nii.gz", "benign (2).png", "readme.png"]
    matching = match([PurePosixPath(name) for name in names], [case("benign (1)"), case("benign (2)")])
    assert matching.file_of == {"benign (2)": PurePosixPath("benign (2).png")}
    assert [fault.partition(". ")[0] for fault in matching.faults()] == [
        "readme.png fits no image by its name",
        "benign (1).png, more/benign (1)_mask.nii.gz are of one image, benign (1)",
    ]
