import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp
from sklearn.metrics import roc_auc_score

from benchmarks.interval_coverage import (
    SHARES,
    SIZES,
    area,
    coverage,
    dice_without_misses,
    new_auc,
    new_score,
    scored_groups,
    share,
    two_kinds,
)
from breast_ultrasound.scoring.intervals import auc, auc_interval, effective_number, mean_interval, score_interval


@given(st.integers(1, 60), st.data())
def test_a_share_of_single_images_has_the_exact_interval(images: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, images))
    interval = score_interval(np.repeat([1.0, 0.0], [ones, images - ones]), np.arange(images), 0.95)
    assert interval == pytest.approx(tuple(binomtest(ones, images).proportion_ci(0.95, "exact")))


def test_where_all_agree_the_interval_keeps_its_width() -> None:
    assert score_interval(np.ones(4), np.arange(4), 0.95) == pytest.approx((0.398, 1), abs=0.001)
    assert score_interval(np.full(4, 0.9), np.arange(4), 0.95)[0] < 0.4
    assert score_interval(np.array([0.25]), np.array([7]), 0.95)[1] > 0.9


def test_images_of_a_group_count_as_one_image() -> None:
    scores = np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    once = score_interval(scores, np.arange(5), 0.95)
    assert score_interval(np.repeat(scores, 6), np.repeat(np.arange(5), 6), 0.95) == pytest.approx(once)
    # Many images of one frame are worth little more than that frame.
    assert effective_number(np.array([0] * 98 + [1, 2])) == pytest.approx(1.04, abs=0.01)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=40))
def test_any_scores_lie_around_their_mean_between_0_and_1(images: list[tuple[float, int]]) -> None:
    values, groups = np.array([value for value, _ in images]), np.array([group for _, group in images])
    low, high = score_interval(values, groups, 0.95)
    assert 0 <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= 1
    sizes = np.unique(groups, return_counts=True)[1]
    assert 1 <= effective_number(groups) <= len(sizes)


def test_the_interval_of_many_scores_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(0).beta(8, 3, 400)
    spread = 1.96 * values.std() / 20
    expected = values.mean() - spread, values.mean() + spread
    assert score_interval(values, np.arange(400), 0.95) == pytest.approx(expected, abs=0.002)


def test_a_distance_has_the_interval_of_student_and_none_of_a_single_group() -> None:
    values = np.random.default_rng(0).lognormal(3, 1, 12)
    expected = tuple(ttest_1samp(values, 0).confidence_interval(0.95))
    assert mean_interval(values, np.arange(12), 0.95, least=0) == pytest.approx(expected)
    assert mean_interval(np.array([1.0, 90.0]), np.arange(2), 0.95, least=0)[0] == 0
    assert np.isnan(mean_interval(values, np.zeros(12, int), 0.95, least=0)).all()


def test_undefined_values_are_left_out_and_none_left_is_undefined() -> None:
    values, groups = np.array([1.0, np.nan, 0.5, 0.2]), np.arange(4)
    for interval in (score_interval(values, groups, 0.95), mean_interval(values, groups, 0.95, least=0)):
        assert not np.isnan(interval).any()
    assert score_interval(values, groups, 0.95) == score_interval(values[[0, 2, 3]], groups[:3], 0.95)
    assert np.isnan(score_interval(np.array([np.nan]), np.array([0]), 0.95)).all()
    assert np.isnan(mean_interval(np.array([np.nan]), np.array([0]), 0.95, least=0)).all()


@pytest.mark.parametrize("duplicates", SIZES)
@pytest.mark.parametrize("groups", [4, 27])
@pytest.mark.parametrize("truth", SHARES)
def test_the_interval_of_a_share_has_its_nominal_coverage(truth: float, groups: int, duplicates: str) -> None:
    assert coverage([new_score], scored_groups(share(truth), groups, duplicates), truth, 100)[0] >= 0.92


def test_the_intervals_of_dice_and_area_have_their_nominal_coverage() -> None:
    assert coverage([new_score], scored_groups(dice_without_misses, 10, "near-duplicates"), 30 / 32, 200)[0] >= 0.91
    assert coverage([new_auc], two_kinds(3.0, 20, 4, "near-duplicates"), area(3.0), 200)[0] >= 0.91


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_auc_agrees_with_an_independent_implementation(images: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s for s, _ in images], float), np.array([p for _, p in images])
    positive[:2] = True, False
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    low, high = auc_interval(scores, positive, np.arange(len(scores)) // 2, 0.95)
    assert 0 <= low <= auc(scores, positive) + 1e-9
    assert auc(scores, positive) - 1e-9 <= high <= 1


def test_a_perfect_area_is_as_sure_as_the_rarer_kind_of_image_makes_it() -> None:
    positive = np.arange(24) < 20
    assert auc_interval(positive.astype(float), positive, np.arange(24), 0.95) == pytest.approx((0.398, 1), abs=0.001)


def test_the_interval_of_a_large_area_agrees_with_the_variance_of_delong() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(2000) < 0.5
    scores = rng.normal(size=2000) + positive
    wins = (scores[positive][:, None] > scores[~positive]).astype(float)
    spread = 1.96 * np.sqrt(sum(wins.mean(axis=axis).var() / wins.shape[1 - axis] for axis in (0, 1)))
    expected = wins.mean() - spread, wins.mean() + spread
    assert auc_interval(scores, positive, np.arange(2000), 0.95) == pytest.approx(expected, abs=0.002)
