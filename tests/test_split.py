from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import write_params
from hypothesis import given, settings
from hypothesis import strategies as st

from breast_ultrasound.auditing.crossings import find_crossings
from breast_ultrasound.cases.folds import UNUSED, fitting_subset, subsets
from breast_ultrasound.cases.groups import group_by_patient, join_groups
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import load
from stages.split import (
    Params,
    Split,
    assign_folds,
    assign_validation,
    check_folds,
    divide,
    divide_sources,
    warnings_of,
)

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
        table["fold"] = divide(table["class"], table["group"], folds, seed)
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
        table["fold"] = divide(table["class"], table["group"], folds, seed)
    except UserError:
        assert table["group"].nunique() < folds or table["class"].value_counts().max() < folds
        return
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    assert set(table["fold"]) <= set(range(folds))


def test_class_shares_of_each_fold_are_within_two_points_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    classes = pd.Series(rng.permutation(np.repeat(["benign", "malignant", "normal"], [437, 210, 133])))
    groups = pd.Series(rng.integers(0, 590, 780))
    shares = pd.crosstab(divide(classes, groups, 5, seed=0), classes, normalize="index")
    assert (abs(shares - classes.value_counts(normalize=True)) < 0.02).all(axis=None)


def test_the_same_seed_gives_the_same_folds() -> None:
    classes, groups = pd.Series(["benign", "normal"] * 20), pd.Series(range(40))
    folds = [divide(classes, groups, 5, seed).tolist() for seed in (1, 1, 2)]
    assert folds[0] == folds[1] != folds[2]


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(UserError, match="2 groups"):
        divide(pd.Series(["benign"] * 6), pd.Series([0, 0, 0, 1, 1, 1]), 3, seed=0)


def test_a_frame_a_sweep_or_a_patient_in_two_folds_is_an_error_where_groups_are_divided() -> None:
    table = pd.DataFrame(
        {"id": list("abc"), "frame": [4, 5, 6], "sweep": [1, 2, 3], "patient": ["A", "", ""], "fold": [0, 1, 2]}
    )
    check_folds(table, split(by="group"), find_crossings(table))
    for name, column, values in (
        ("near-duplicates", "frame", [7, 7, 8]),
        ("sweeps", "sweep", [7, 7, 8]),
        ("patients", "patient", ["7", "7", ""]),
    ):
        crossings = find_crossings(table.assign(**{column: values}))
        assert crossings[name] == [["a", "b"]]
        with pytest.raises(RuntimeError, match=name):
            check_folds(table, split(by="group"), crossings)
        for by in ("source", "table"):
            check_folds(table, split(by=by), crossings)
        assert next(warnings_of(crossings)) == f"warning: {name} in several folds: 1 (a, b)"


def test_a_fold_without_images_is_refused() -> None:
    with pytest.raises(UserError, match="some folds are empty"):
        check_folds(pd.DataFrame({"fold": [0, 2]}), split(by="group"), {})


def split(by: str, validation: bool = True, folds: int = 3) -> Split:
    """The section `split` where all folds are run."""
    return Split.model_validate({"by": by, "validation": validation, "folds": folds, "run": tuple(range(folds))})


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
    both["fold"] = divide_sources(both, 3, 7)
    alone = both[both["source"] == "busi"]
    assert (divide_sources(alone, 3, 7) == alone["fold"]).all()
    assert (both.groupby("group")["fold"].nunique() == 1).all()
    assert (both.groupby("source")["fold"].nunique() == 3).all()


def test_every_fold_has_its_share_of_each_class_of_each_source() -> None:
    table = joined(30, ("a", "b"), shared=False)
    table["fold"] = divide_sources(table, 3, 0)
    counts = pd.crosstab([table["source"], table["class"]], table["fold"])
    assert ((counts.max(axis=1) - counts.min(axis=1)) <= 2).all()


def assigned(table: pd.DataFrame, chosen: Split) -> pd.DataFrame:
    table = table.assign(fold=assign_folds(table, chosen, 0))
    return table.assign(validation=assign_validation(table, chosen, 0))


def of_three_sources() -> pd.DataFrame:
    table = joined(20, ("busi", "bus-bra", "own"), shared=False)
    return table.assign(id=table.index.astype(str), fold=table["group"] % 3 + 1)


def test_by_group_the_fold_after_the_test_fold_validates() -> None:
    folds = assigned(of_three_sources(), split(by="group"))
    for fold in range(3):
        subset = subsets(folds, fold)
        assert set(folds["fold"][subset == "test"]) == {fold}
        assert set(folds["fold"][subset == "validation"]) == {(fold + 1) % 3}
        assert set(folds["fold"][subset == "train"]) == {(fold + 2) % 3}


def test_an_image_that_the_audit_dropped_has_no_part_in_any_run() -> None:
    folds = pd.DataFrame({"fold": [0, 1, UNUSED], "validation": [1, 0, UNUSED]})
    assert [subsets(folds, fold)[2] for fold in (0, 1)] == ["unused", "unused"]


@pytest.mark.parametrize("by", ["group", "source", "table"])
def test_images_that_the_audit_dropped_one_and_all_are_refused(by: str) -> None:
    with pytest.raises(UserError, match=r"the audit dropped every image; the column dropped of data.groups\.csv"):
        assigned(of_three_sources()[:0], split(by=by))


@pytest.mark.parametrize("by", ["group", "source", "table"])
def test_without_validation_all_other_folds_train_and_post_processing_is_fitted_on_test_images(by: str) -> None:
    folds = assigned(of_three_sources(), split(by=by, validation=False))
    assert fitting_subset(folds) == "test"
    for fold in range(3):
        assert set(folds["fold"][subsets(folds, fold) == "train"]) == {0, 1, 2} - {fold}


def test_by_source_each_source_is_tested_by_a_network_of_the_others() -> None:
    folds = assigned(of_three_sources(), split(by="source"))
    for fold, source in enumerate(("bus-bra", "busi", "own")):
        subset = subsets(folds, fold)
        assert set(folds["source"][subset == "test"]) == {source}
        assert set(folds["source"][subset == "train"]) == set(folds["source"][subset == "validation"])
        assert source not in set(folds["source"][subset == "train"])


def test_by_table_folds_are_those_of_the_table_numbered_from_0() -> None:
    table = of_three_sources()
    assert assigned(table, split(by="table"))["fold"].tolist() == (table["fold"] - 1).tolist()


@pytest.mark.parametrize("by", ["source", "table"])
def test_where_a_fold_is_given_a_fifth_of_the_training_groups_validate(by: str) -> None:
    table = of_three_sources()
    # Groups that cross folds, as those of a table may.
    table["fold"] = table.index % 3
    folds = assigned(table, split(by=by))
    for fold in range(3):
        subset = subsets(folds, fold)
        counts = pd.Series(subset).value_counts()
        assert counts["validation"] / (counts["validation"] + counts["train"]) == pytest.approx(0.2, abs=0.06)
        assert not set(table["group"][subset == "validation"]) & set(table["group"][subset == "train"])


@pytest.mark.parametrize(("by", "folds", "names"), [("source", 5, "bus-bra, busi, own"), ("table", 4, "1, 2, 3")])
def test_another_number_of_folds_than_there_are_is_refused(by: str, folds: int, names: str) -> None:
    with pytest.raises(UserError, match=rf"split.folds is {folds}, but by {by} there are 3 folds: {names}\. Set"):
        assign_folds(of_three_sources(), split(by=by, folds=folds), 0)


def test_an_image_without_a_fold_in_its_table_is_named() -> None:
    table = of_three_sources()
    table["fold"] = table["fold"].where(table.index != 7)
    with pytest.raises(UserError, match=r"1 images have no fold, such as 7\."):
        assign_folds(table, split(by="table"), 0)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"validation": False, "run": [0]}, r"validation: false needs two folds at least.*run is \[0\]"),
        ({"folds": 2}, "folds: of 2 one tests, one validates and none trains"),
    ],
)
def test_a_split_that_leaves_nothing_to_fit_or_train_on_is_refused(
    chosen: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_params(tmp_path, split=chosen)
    with pytest.raises(UserError, match=message):
        load(Params, tmp_path / "params.yaml")
