"""The choice of images for a page that cannot hold all."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.auditing.quality import FLAGS
from breast_ultrasound.pages.selection import evenly, examples, flagged, gallery, near_duplicates, sweeps


def scored(images: int) -> pd.DataFrame:
    """Test images by id: most are good, a few are false negatives, and two are displaced."""
    dice = np.random.default_rng(3).uniform(0.8, 1, images)
    kind = np.full(images, "good", dtype=object)
    dice[: images // 5], kind[: images // 5] = 0, "false negative"
    dice[-2:], kind[-2:] = 0.4, "displaced"
    ids = [f"benign ({number + 1})" for number in range(images)]
    return pd.DataFrame({"dice": dice, "kind": kind}, pd.Index(ids, name="id"))


def audited(*groups: tuple[str, float, int]) -> pd.DataFrame:
    """A groups.csv of groups, each with the classes of its images, its least similarity, and whether it is flagged."""
    rows = [
        {"class": cls, "frame": number, "similarity": similarity if place else 1.0, "low_contrast": flag}
        for number, (classes, similarity, flag) in enumerate(groups)
        for place, cls in enumerate(classes)
    ]
    table = pd.DataFrame(rows).reindex(columns=["class", "frame", "similarity", *FLAGS]).fillna(0)
    table["conflict"] = (table.groupby("frame")["class"].transform("nunique") > 1).astype(int)
    return table.assign(id=[f"benign ({number + 1})" for number in range(len(table))])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
def test_no_image_is_chosen_twice_and_as_many_as_allowed(images: int, most: int, seed: int) -> None:
    chosen = [case_id for members in gallery(scored(images), most, seed).values() for case_id in members]
    assert len(set(chosen)) == len(chosen) == min(images, most)


def test_the_worst_are_the_worst_and_rare_kinds_are_chosen_whole() -> None:
    chosen = gallery(scored(1000), 100, seed=1)
    assert {name: len(members) for name, members in chosen.items()} == {"worst": 20, "kinds": 40, "random": 40}
    table = scored(1000)
    assert (table.loc[chosen["worst"], "dice"] == 0).all()
    assert (table.loc[chosen["kinds"], "kind"]).value_counts().to_dict() == {
        "good": 19,
        "false negative": 19,
        "displaced": 2,
    }


def test_equally_bad_images_are_drawn_at_random_and_not_by_their_number() -> None:
    table = scored(1000)
    places = table.index.get_indexer(gallery(table, 100, seed=1)["worst"])
    assert places.max() > 100


def test_the_seed_alone_decides_the_draw() -> None:
    first, again, other = (gallery(scored(200), 50, seed)["random"].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_examples_are_of_lesion_images_from_both_ends_and_the_middle() -> None:
    table = scored(9).assign(dice=np.arange(9) / 10, tp=0, fn=[0] + [5] * 8)
    ids = table.index[1:].tolist()
    assert examples(table, 2) == {"worst": ids[:2], "median": ids[3:5], "best": [ids[7], ids[6]]}
    assert examples(table[:1], 2) == {"worst": [], "median": [], "best": []}


@given(st.integers(0, 40), st.integers(1, 12))
def test_no_example_is_drawn_twice_however_few_images_there_are(images: int, each: int) -> None:
    table = scored(images).assign(dice=np.arange(images) / 40, tp=1, fn=0)
    chosen = examples(table, each)
    ids = [case_id for members in chosen.values() for case_id in members]
    assert len(set(ids)) == len(ids) == min(images, 3 * each)
    assert len(chosen["worst"]) >= len(chosen["best"]) >= len(chosen["median"])


def test_near_duplicates_come_frame_by_frame_conflicts_first_then_the_least_similar() -> None:
    table = audited(("bb", 0.99, 0), ("b", 0, 1), ("bbb", 0.4, 0), ("bm", 0.9, 0))
    ranked = near_duplicates(table)
    assert ranked["frame"].tolist() == [3, 3, 2, 2, 2, 0, 0]
    assert ranked["members"].tolist() == [2, 2, 3, 3, 3, 2, 2]


def test_sweeps_hold_the_first_image_of_each_frame_the_least_close_first() -> None:
    table = pd.DataFrame(
        {
            "id": list("abcdefg"),
            "frame": [0, 1, 1, 2, 3, 4, 5],
            "sweep": [0, 0, 0, 1, 2, 2, 3],
            "closeness": [0.2, 0.2, 0.2, np.nan, 0.1, 0.1, np.nan],
        }
    )
    ranked = sweeps(table)
    assert ranked["id"].tolist() == ["e", "f", "a", "b"]
    assert ranked["members"].tolist() == [2, 2, 2, 2]


def test_flagged_images_have_no_near_duplicate_and_carry_more_than_marks() -> None:
    table = audited(("bb", 0.99, 1), ("b", 0, 1), ("b", 0, 0), ("b", 0, 0))
    table.loc[table["frame"] == 2, "marks"] = 1
    assert flagged(table, seed=1)["frame"].tolist() == [1]
    assert flagged(table[:2], seed=1).empty


def test_a_rare_flag_is_among_the_first_flagged_images() -> None:
    table = audited(*[("b", 0.0, 1)] * 50)
    table.loc[30, ["mask_touches_border", "low_contrast"]] = [1, 0]
    assert flagged(table, seed=1)["mask_touches_border"][:2].sum() == 1


@pytest.mark.parametrize("most", [0, 3, 5])
def test_turns_are_taken_in_order(most: int) -> None:
    strata = pd.Series(list("aaabba"), index=list("uvwxyz"))
    assert evenly(strata)[:most].tolist() == list("uxvywz")[:most]
