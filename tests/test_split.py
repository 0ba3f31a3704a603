import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.cases.folds import UNUSED, subsets
from stages.pipeline.errors import UserError
from stages.split import assign_folds, check_folds

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


def test_a_group_in_two_folds_fails_loudly() -> None:
    with pytest.raises(RuntimeError, match=r"\[7\]"):
        check_folds(pd.DataFrame({"group": [7, 7, 8], "fold": [0, 1, 2]}), 3)


def test_each_fold_is_tested_once_and_validated_once() -> None:
    folds = pd.Series([0, 1, 2, 3, 4, UNUSED])
    assert subsets(folds, 0).tolist() == ["test", "validation", "train", "train", "train", "unused"]
    assert subsets(folds, 4).tolist() == ["validation", "train", "train", "train", "test", "unused"]
