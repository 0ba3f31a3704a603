import pandas as pd

from stages.audit import group_numbers, summarise


def test_equal_keys_share_a_group_numbered_by_first_appearance() -> None:
    assert group_numbers(["b", "a", "b", "c"]) == [0, 1, 0, 2]


def test_repeats_and_classes_are_counted() -> None:
    groups = pd.DataFrame({"class": ["benign", "malignant", "benign", "normal"], "group": [0, 0, 0, 1]})
    assert summarise(groups) == {
        "images": 4,
        "groups": 2,
        "groups_with_repeats": 1,
        "images_with_repeats": 3,
        "groups_in_several_classes": 1,
    }
