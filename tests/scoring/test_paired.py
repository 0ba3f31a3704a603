import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest, rankdata

from benchmarks.interval_coverage import NO_DIFFERENCE, false_alarms
from breast_ultrasound.scoring.intervals import auc
from breast_ultrasound.scoring.paired import PairedTest

TEST = PairedTest(draws=2000, confidence=0.95, seed=0)


def flips(lost: int, gained: int, images: int) -> np.ndarray:
    """Return the differences of images of which some flip."""
    return np.repeat([-1.0, 1.0, 0.0], [lost, gained, images - lost - gained])


@given(st.integers(0, 10), st.integers(0, 10))
def test_flips_of_single_images_have_the_exact_p_of_mcnemar(lost: int, gained: int) -> None:
    test = PairedTest(2**20, 0.95, 0) if lost + gained > 10 else TEST
    if lost + gained > 14:
        return
    result = test.mean(flips(lost, gained, 27), np.arange(27))
    assert result.p == pytest.approx(binomtest(gained, lost + gained).pvalue if lost + gained else 1)
    assert result.value == pytest.approx((gained - lost) / 27)


@pytest.mark.parametrize(
    ("lost", "images", "p", "verdict"),
    [
        (0, 4, 1, "the same"),
        (1, 4, 1, "too few changes to tell"),
        (4, 27, 0.125, "too few changes to tell"),
        (5, 27, 0.0625, "too few changes to tell"),
        (6, 27, 0.03125, "more than noise"),
    ],
)
def test_a_verdict_needs_as_many_changes_as_can_carry_one(lost: int, images: int, p: float, verdict: str) -> None:
    result = TEST.mean(flips(lost, 0, images), np.arange(images))
    assert (result.p, result.verdict) == (p, verdict)


@pytest.mark.parametrize("flipped", [1, 3, 8])
def test_a_difference_of_none_is_the_same_however_many_images_change(flipped: int) -> None:
    difference = TEST.mean(flips(flipped, flipped, 27), np.arange(27))
    assert (difference.value, difference.verdict) == (0, "the same")


def test_images_of_a_group_that_change_together_are_one_change() -> None:
    groups = np.repeat(np.arange(9), 3)
    assert TEST.mean(flips(6, 0, 27), groups).verdict == "too few changes to tell"
    assert TEST.mean(flips(18, 0, 27), groups).p == 2 / 2**6


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 30)), min_size=1, max_size=60))
def test_the_interval_leaves_out_0_where_p_is_small_and_nowhere_else(images: list[tuple[float, int]]) -> None:
    differences, groups = (np.array(part) for part in zip(*images, strict=True))
    result = TEST.mean(differences, groups)
    assert -1 <= result.low <= result.value <= result.high <= 1
    assert (result.low > 1e-9 or result.high < -1e-9) <= (result.p <= 0.05)
    assert (result.p <= 0.05) <= (result.low > -1e-9 or result.high < 1e-9)
    back = TEST.mean(-differences, groups)
    assert (back.low, back.high, back.p) == pytest.approx((-result.high, -result.low, result.p))


def test_a_sample_of_the_swaps_agrees_with_all_of_them() -> None:
    differences = np.random.default_rng(0).normal(0.05, 0.1, 14)
    sampled = TEST.mean(differences, np.arange(14))
    every = PairedTest(2**14, 0.95, 0).mean(differences, np.arange(14))
    assert sampled.p == pytest.approx(every.p, abs=0.02)
    assert (sampled.low, sampled.high) == pytest.approx((every.low, every.high), abs=0.005)
    assert sampled == TEST.mean(differences, np.arange(14))


def test_no_sample_of_swaps_makes_p_zero() -> None:
    assert TEST.mean(np.full(400, 0.1), np.arange(400)).p == 1 / 2000


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=8))
def test_the_areas_are_compared_by_exchanging_ranks_by_groups(images: list[tuple[int, int, int]]) -> None:
    first, second, groups = (np.array(part) for part in zip(*images, strict=True))
    positive = np.arange(len(first)) % 2 == 0
    ranks = rankdata(first), rankdata(second)
    differences = []
    for swapped in itertools.product((False, True), repeat=4):
        at = np.array(swapped)[groups]
        one, two = np.where(at, ranks[1], ranks[0]), np.where(at, ranks[0], ranks[1])
        differences.append(abs(auc(two, positive) - auc(one, positive)))
    result = TEST.auc(first, second, positive, groups)
    assert result.p == pytest.approx(np.mean(np.array(differences) >= differences[0] - 1e-12))
    assert result.value == pytest.approx(auc(second, positive) - auc(first, positive))


GAINS = arrays(float, (4, 24), elements=st.floats(-1, 1))
# Some with few enough groups for all swaps, some whose swaps are drawn.
GROUPS = arrays(int, 24, elements=st.integers(0, 5)) | arrays(int, 24, elements=st.integers(0, 99))


@given(GAINS, GROUPS)
def test_p_among_several_candidates_is_at_least_the_p_of_each_alone(gains: np.ndarray, groups: np.ndarray) -> None:
    together = TEST.adjusted_p(gains, groups)
    alone = np.concatenate([TEST.adjusted_p(gain[None], groups) for gain in gains])
    assert np.all(together >= alone)
    assert np.all(together[gains.mean(axis=1) <= 0] == 1)
    assert np.array_equal(together, TEST.adjusted_p(gains, groups))


@given(GAINS, GROUPS)
def test_a_group_swaps_as_one_image_that_gains_its_sum(gains: np.ndarray, groups: np.ndarray) -> None:
    every = np.unique(groups)
    sums = np.stack([gains[:, groups == group].sum(axis=1) for group in every], axis=1)
    assert TEST.adjusted_p(gains, groups) == pytest.approx(TEST.adjusted_p(sums, every))


@given(st.integers(0, 5), st.integers(0, 5))
def test_the_p_of_a_single_candidate_is_the_one_sided_p_of_the_sign_test(lost: int, gained: int) -> None:
    p = TEST.adjusted_p(flips(lost, gained, 10)[None], np.arange(10))
    assert p == pytest.approx(binomtest(gained, lost + gained, alternative="greater").pvalue if gained > lost else 1)


def test_a_noisy_candidate_does_not_hide_a_small_sure_gain() -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, 100)
    p = TEST.adjusted_p(np.stack([noise - noise.mean(), np.full(100, 0.01)]), np.arange(100))
    assert p.tolist() == [1, 1 / 2000]


def test_candidates_that_do_not_help_seldom_gain_more_than_noise() -> None:
    test, noise = PairedTest(draws=400, confidence=0.95, seed=0), np.random.default_rng(0).normal(size=(300, 30, 40))
    assert np.mean([test.adjusted_p(gains, np.arange(40)).min() <= 0.025 for gains in noise]) <= 0.05


def test_another_scale_of_the_scores_is_no_difference_of_the_areas() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(120) < 0.7
    scores = rng.normal(size=120) + positive
    result = TEST.auc(scores, np.exp(scores), positive, np.arange(120))
    assert (result.value, result.low, result.high, result.p) == (0, 0, 0, 1)
    # A better run is recognised on a scale of its own as well.
    better = np.exp(scores + positive)
    assert TEST.auc(scores, better, positive, np.arange(120)).verdict == "more than noise"


def test_a_few_changed_scores_are_too_few_for_a_verdict_on_areas() -> None:
    positive = np.arange(40) < 30
    first = np.linspace(0, 1, 40)
    second = np.where(np.arange(40) < 5, 2.0, first)
    assert TEST.auc(first, second, positive, np.arange(40)).verdict == "too few changes to tell"
    assert TEST.auc(first, first, positive, np.arange(40)).verdict == "the same"


@pytest.mark.parametrize("change", NO_DIFFERENCE)
def test_equal_runs_seldom_differ_by_more_than_noise(change: str) -> None:
    assert false_alarms(NO_DIFFERENCE[change], 27, "near-duplicates", 200)[1] <= 0.09


def test_twenty_thousand_images_take_seconds() -> None:
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    TEST.mean(rng.normal(size=20_000), np.arange(20_000))
    TEST.auc(rng.random(20_000), rng.random(20_000), rng.random(20_000) < 0.8, np.arange(20_000))
    assert time.perf_counter() - started < 20
