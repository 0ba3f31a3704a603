import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scoring.comparison import changes, most_changed, pair
from breast_ultrasound.scoring.intervals import score_interval
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.scores import add_scores

TEST = PairedTest(draws=500, confidence=0.95, seed=0)


def scores(shares: list[float], group_size: int = 1) -> pd.DataFrame:
    """Return post-processed test scores of images of 1,000 pixels, every third one normal, by the share predicted."""
    rows = []
    for number, share in enumerate(shares):
        cls = ("benign", "malignant", "normal")[number % 3]
        lesion = 0 if cls == "normal" else 200
        tp, fp = round(lesion * share), 0 if lesion else round(1000 * share)
        row = {"id": f"{cls} ({number})", "class": cls, "fold": 0, "subset": "test", "postprocessing": "after"}
        row |= {"group": number // group_size, "peak": share, "predicted_share": (tp + fp) / 1000, "kind": "good"}
        rows.append(row | {"tp": tp, "fp": fp, "fn": lesion - tp, "tn": 1000 - lesion - fp})
    return add_scores(pd.DataFrame(rows))


def difference(first: list[float], second: list[float], name: str, group_size: int = 1) -> tuple[float, float, str]:
    both = pair(scores(first, group_size), scores(second, group_size), "test")
    by_name = {change.name: change.difference for change in changes(both, TEST)}
    return by_name[name].low, by_name[name].high, by_name[name].verdict


def test_a_gain_on_every_image_is_more_than_noise_and_one_on_few_is_not() -> None:
    rng = np.random.default_rng(0)
    first = rng.uniform(0.3, 0.7, 90)
    assert difference(first.tolist(), (first + 0.1).tolist(), "lesion Dice")[2] == "more than noise"
    noisy = first + rng.normal(0, 0.2, 90)
    assert difference(first.tolist(), noisy.clip(0, 1).tolist(), "lesion Dice")[2] == "within noise"


def test_pairing_detects_a_gain_that_unpaired_intervals_would_not() -> None:
    first = np.random.default_rng(0).uniform(0, 0.9, 60)
    low, high, verdict = difference(first.tolist(), (first + 0.05).tolist(), "lesion Dice")
    alone = score_interval(scores(first.tolist())["dice"].to_numpy(), np.arange(60), 0.95)
    assert verdict == "more than noise"
    assert high - low < (alone[1] - alone[0]) / 4


def test_larger_groups_widen_the_interval() -> None:
    gains = np.repeat(np.random.default_rng(0).normal(0, 0.1, 15), 6)
    first, second = [0.5] * 90, (0.5 + gains).tolist()
    widths = [np.diff(difference(first, second, "lesion Dice", size)[:2])[0] for size in (1, 6)]
    assert widths[1] > 1.5 * widths[0]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=30))
def test_the_other_way_round_every_difference_has_the_other_sign(shares: list[tuple[float, float]]) -> None:
    first, second = ([share[run] for share in shares] for run in (0, 1))
    there, back = (
        changes(pair(scores(one), scores(two), "test"), TEST) for one, two in ((first, second), (second, first))
    )
    for one, two in zip(there, back, strict=True):
        assert (one.name, one.first, one.second) == (two.name, two.second, two.first)
        assert (one.difference.low, one.difference.high) == pytest.approx((-two.difference.high, -two.difference.low))
        assert (one.difference.p, one.difference.verdict) == (two.difference.p, two.difference.verdict)


def test_a_run_is_the_same_as_itself() -> None:
    table = scores([0.2, 0.4, 0.0, 0.6, 0.8, 0.5])
    both = pair(table, table, "test")
    assert {change.difference.verdict for change in changes(both, TEST)} == {"the same"}
    assert all(rows.empty for rows in most_changed(both, 5))


def test_the_images_that_changed_most_come_first() -> None:
    both = pair(scores([0.5] * 6), scores([0.6, 0.1, 0.5, 0.9, 0.4, 0.0]), "test")
    gained, lost = most_changed(both, 2)
    # The last one is normal: a mask on it is gone.
    assert gained["id"].tolist() == ["normal (5)", "benign (3)"]
    assert lost["id"].tolist() == ["malignant (1)", "malignant (4)"]


def test_images_without_lesions_or_normals_are_compared_as_far_as_they_go() -> None:
    lesions = scores([0.5] * 6).query("`class` != 'normal'")
    assert [change.name for change in changes(pair(lesions, lesions, "test"), TEST)] == [
        "lesion Dice",
        "lesion IoU",
        "Dice, all images",
    ]


def test_one_normal_image_that_flips_is_too_few_changes() -> None:
    first, second = scores([0.5, 0.5, 0.0] * 4), scores([0.5, 0.5, 0.0] * 3 + [0.5, 0.5, 0.2])
    by_name = {change.name: change for change in changes(pair(first, second, "test"), TEST)}
    specificity = by_name["normal specificity"]
    assert (specificity.images, specificity.first, specificity.second) == (4, 1, 0.75)
    assert (specificity.difference.p, specificity.difference.verdict) == (1, "too few changes to tell")


def test_the_true_mask_makes_a_lesion_image_whatever_its_class() -> None:
    table = scores([0.5] * 6)
    emptied = table["id"] == "benign (0)"
    table.loc[emptied, ["tp", "fp", "fn", "tn"]] = [0, 0, 0, 1000]
    by_name = {change.name: change for change in changes(pair(table, table, "test"), TEST)}
    assert by_name["lesion Dice"].images == 3
    assert by_name["lesion Dice"].first == pytest.approx(2 / 3)
    assert (by_name["normal specificity"].images, by_name["normal specificity"].first) == (3, pytest.approx(1 / 3))


def test_a_single_false_pixel_is_a_false_positive_however_large_the_image() -> None:
    first, second = (scores([0.5, 0.5, 0.0]) for _ in range(2))
    second.loc[second["class"] == "normal", ["fp", "tn"]] = [1, 999]
    second["predicted_share"] = second["predicted_share"].round(2)
    by_name = {change.name: change for change in changes(pair(first, second, "test"), TEST)}
    specificity = by_name["normal specificity"]
    assert (specificity.first, specificity.second) == (1, 0)


def test_other_images_grids_and_true_masks_are_refused_by_name() -> None:
    table = scores([0.5] * 6)
    with pytest.raises(UserError, match=re.escape("test images differ: 1 (normal (5), …), 0 are in one")):
        pair(table, table[:-1], "test")
    with pytest.raises(UserError, match=re.escape("grids of 1 test images differ, such as of benign (0)")):
        pair(table, table.assign(tn=table["tn"] + (table["id"] == "benign (0)")), "test")
    grown = (table["id"] == "malignant (1)").astype(int)
    with pytest.raises(UserError, match=re.escape("true masks of 1 test images differ, such as of malignant (1)")):
        pair(table, table.assign(fn=table["fn"] + grown, tn=table["tn"] - grown), "test")
