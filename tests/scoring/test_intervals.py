import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from stages.scoring.intervals import Bootstrap, weighted_auc

BOOTSTRAP = Bootstrap(draws=2000, confidence=0.95, seed=0)


def test_the_interval_of_a_mean_agrees_with_the_normal_one_for_single_images() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = BOOTSTRAP.mean(values, np.arange(400))
    spread = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - spread, values.mean() + spread), abs=0.02)


def test_repeats_count_as_one_observation() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=40), 10)
    single = np.diff(BOOTSTRAP.mean(values, np.arange(400)))[0]
    grouped = np.diff(BOOTSTRAP.mean(values, np.repeat(np.arange(40), 10)))[0]
    assert grouped == pytest.approx(single * np.sqrt(10), rel=0.15)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    quick = Bootstrap(draws=300, confidence=0.9, seed=0)
    covered = []
    for _ in range(300):
        low, high = quick.mean(rng.uniform(size=60), np.arange(60))
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_undefined_values_are_left_out_and_none_left_is_undefined() -> None:
    low, high = BOOTSTRAP.mean(np.array([1.0, np.nan, 1.0]), np.array([0, 1, 2]))
    assert (low, high) == (1, 1)
    assert np.isnan(BOOTSTRAP.mean(np.array([np.nan]), np.array([0]))).all()
    assert BOOTSTRAP.mean(np.array([0.25]), np.array([7])) == (0.25, 0.25)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_auc_agrees_with_an_independent_implementation(images: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s for s, _ in images], float), np.array([p for _, p in images])
    ours = weighted_auc(scores, positive, np.ones((1, len(images))))[0]
    if positive.all() or not positive.any():
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(roc_auc_score(positive, scores))


def test_weights_repeat_images() -> None:
    rng = np.random.default_rng(0)
    scores, positive, weights = rng.normal(size=30), rng.random(30) < 0.5, rng.integers(0, 4, (1, 30))
    repeated = np.repeat(np.arange(30), weights[0])
    expected = roc_auc_score(positive[repeated], scores[repeated])
    assert weighted_auc(scores, positive, weights.astype(float))[0] == pytest.approx(expected)


def test_the_interval_of_the_auc_holds_the_auc() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.7
    scores = rng.normal(size=200) + positive
    low, high = BOOTSTRAP.auc(scores, positive, np.arange(200))
    assert low < roc_auc_score(positive, scores) < high
    assert high - low < 0.2
    assert np.isnan(BOOTSTRAP.auc(scores, np.ones(200, bool), np.arange(200))).all()


def test_two_thousand_draws_over_many_groups_take_seconds_and_little_memory() -> None:
    values = np.random.default_rng(0).random(20_000)
    started = time.process_time()
    BOOTSTRAP.mean(values, np.arange(20_000))
    assert time.process_time() - started < 10
