import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breast_ultrasound.cases.folds import UNUSED, subsets
from breast_ultrasound.cases.groups import group_by_patient, join_groups
from breast_ultrasound.pipeline.errors import UserError
from stages.split import assign_by_source, assign_folds, check_folds

CROWD = st.lists(
    st.tuples(st.sampled_from(["benign", "lesion", "normal"]), st.integers(0, 40), st.sampled_from(["", *"ABCDEFGH"])),
    min_size=5,
    max_size=80,
)


@settings(deadline=None)
@given(CROWD, st.integers(3, 5), st.integers(0, 10))
def test_neither_a_frame_nor_a_patient_is_in_two_folds(
    images: list[tuple[str, int, str]], folds: int, seed: int
) -> None:
    table = pd.DataFrame(images, columns=["class", "frame", "patient"])
    table["group"] = join_groups(table["frame"].to_numpy(), group_by_patient(table["patient"]))
    try:
        table["fold"] = assign_folds(table["class"], table["group"], folds, seed)
    except UserError:
        return
    assert (table.groupby("frame")["fold"].nunique() == 1).all()
    assert (table[table["patient"] != ""].groupby("patient")["fold"].nunique() == 1).all()


@given(CROWD)
def test_an_image_that_shares_neither_frame_nor_patient_is_a_group_of_its_own(
    images: list[tuple[str, int, str]],
) -> None:
    table = pd.DataFrame(images, columns=["class", "frame", "patient"])
    groups = pd.Series(join_groups(table["frame"].to_numpy(), group_by_patient(table["patient"])))
    patients = table["patient"].where(table["patient"] != "", table.index.astype(str))
    alone = ~table["frame"].duplicated(keep=False) & ~patients.duplicated(keep=False)
    assert not groups[alone].duplicated().any()
    assert groups.drop_duplicates().tolist() == list(range(groups.nunique()))


IMAGES = st.lists(
    st.tuples(st.sampled_from(["benign", "malignant", "normal"]), st.integers(0, 30)), min_size=5, max_size=120
)


@settings(deadline=None)
@given(IMAGES, st.integers(3, 5), st.integers(0, 10))
def test_no_group_crosses_folds_for_any_classes_and_group_sizes(
    images: list[tuple[str, int]], folds: int, seed: int
) -> None:
    table = pd.DataFrame(images, columns=["class", "group"])
    try:
        table["fold"] = assign_folds(table["class"], table["group"], folds, seed)
    except UserError:
        assert table["group"].nunique() < folds or table["class"].value_counts().max() < folds
        return
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    assert set(table["fold"]) <= set(range(folds))


def test_class_shares_of_each_fold_are_within_two_points_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    classes = pd.Series(rng.permutation(np.repeat(["benign", "malignant", "normal"], [437, 210, 133])))
    groups = pd.Series(rng.integers(0, 590, 780))
    shares = pd.crosstab(assign_folds(classes, groups, 5, seed=0), classes, normalize="index")
    assert (abs(shares - classes.value_counts(normalize=True)) < 0.02).all(axis=None)


def test_the_same_seed_gives_the_same_folds() -> None:
    classes, groups = pd.Series(["benign", "normal"] * 20), pd.Series(range(40))
    folds = [assign_folds(classes, groups, 5, seed).tolist() for seed in (1, 1, 2)]
    assert folds[0] == folds[1] != folds[2]


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(UserError, match="2 groups"):
        assign_folds(pd.Series(["benign"] * 6), pd.Series([0, 0, 0, 1, 1, 1]), 3, seed=0)


def test_a_group_a_frame_or_a_patient_in_two_folds_is_an_error() -> None:
    table = pd.DataFrame({"group": [1, 2, 3], "frame": [4, 5, 6], "patient": ["A", "", ""], "fold": [0, 1, 2]})
    check_folds(table, 3)
    for name, values in (("group", [7, 7, 8]), ("frame", [7, 7, 8]), ("patient", ["7", "7", ""])):
        with pytest.raises(RuntimeError, match=rf"{name} in more than one fold: \['?7'?\]"):
            check_folds(table.assign(**{name: values}), 3)


def test_each_fold_is_tested_once_and_validated_once() -> None:
    folds = pd.Series([0, 1, 2, 3, 4, UNUSED])
    assert subsets(folds, 0).tolist() == ["test", "validation", "train", "train", "train", "unused"]
    assert subsets(folds, 4).tolist() == ["validation", "train", "train", "train", "test", "unused"]


def joined(groups: int, names: tuple[str, ...], shared: bool) -> pd.DataFrame:
    """Sources of twelve groups each, of one to three images; with `shared`, the first groups of all are one."""
    rows = [
        (name, ("benign", "normal")[image % 2], 0 if shared and group == 0 else 100 * place + group)
        for place, name in enumerate(names)
        for group in range(groups)
        for image in range(1 + group % 3)
    ]
    return pd.DataFrame(rows, columns=["source", "class", "group"])


@pytest.mark.parametrize("shared", [False, True], ids=["apart", "one group of both"])
def test_a_source_keeps_its_folds_when_others_are_joined(shared: bool) -> None:
    both = joined(12, ("busi", "own"), shared)
    both["fold"] = assign_by_source(both, 3, 7)
    alone = both[both["source"] == "busi"]
    assert (assign_by_source(alone, 3, 7) == alone["fold"]).all()
    assert (both.groupby("group")["fold"].nunique() == 1).all()
    assert (both.groupby("source")["fold"].nunique() == 3).all()


def test_every_fold_has_its_share_of_each_class_of_each_source() -> None:
    table = joined(30, ("a", "b"), shared=False)
    table["fold"] = assign_by_source(table, 3, 0)
    counts = pd.crosstab([table["source"], table["class"]], table["fold"])
    assert ((counts.max(axis=1) - counts.min(axis=1)) <= 2).all()
