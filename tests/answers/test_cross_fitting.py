from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.answers.cross_fitting import StepSearch, fit_all, networks_to_fit_on
from breast_ultrasound.answers.held_out import HeldOut
from breast_ultrasound.cases.folds import UNUSED, subsets
from breast_ultrasound.scoring.paired import PairedTest


def by_group(folds: int) -> pd.DataFrame:
    """Folds of one image each, of which the one after the test fold validates."""
    numbers = np.arange(folds)
    return pd.DataFrame({"fold": numbers, "validation": (numbers - 1) % folds})


@given(st.integers(2, 7), st.data())
def test_post_processing_is_never_fitted_on_the_images_that_it_is_tested_on(folds: int, data: st.DataObject) -> None:
    run = data.draw(st.lists(st.integers(0, folds - 1), min_size=1, unique=True))
    table = by_group(folds)
    for fold, networks in networks_to_fit_on(run, table).items():
        # Its own network was not validated on the fold, so there is always something to fit on.
        assert fold in networks
        assert all(subsets(table, network)[fold] != "validation" for network in networks)
        left_out = set(run) - set(networks)
        assert all(subsets(table, network)[fold] == "validation" for network in left_out)


@given(st.integers(2, 7))
def test_without_validation_it_is_fitted_on_the_test_images_of_all_other_folds(folds: int) -> None:
    pools = networks_to_fit_on(range(folds), by_group(folds).assign(validation=UNUSED))
    assert pools == {fold: [other for other in range(folds) if other != fold] for fold in range(folds)}


def test_of_five_folds_four_networks_remain_for_each() -> None:
    assert networks_to_fit_on(range(5), by_group(5))[0] == [0, 1, 2, 3]


def test_where_part_of_all_other_folds_validates_its_own_network_remains() -> None:
    table = pd.DataFrame({"fold": [0, 0, 1, 1, 2, 2], "validation": [1, 2, 0, 2, 0, 1]})
    assert networks_to_fit_on(range(3), table) == {0: [0], 1: [1], 2: [2]}


def network(threshold: float, images: int = 12) -> HeldOut:
    """Return held-out images whose true masks are what is at least as probable as a threshold."""
    rng = np.random.default_rng(0)
    probabilities = rng.integers(0, 256, (images, 16, 16), np.uint8)
    pairs = [(probability, (probability >= 255 * threshold).astype(np.uint8)) for probability in probabilities]
    classes = np.zeros(images, np.int64)
    return HeldOut(pairs, np.ones(images, bool), np.arange(images), classes, np.empty((images, 0)), 1.0)


@pytest.mark.filterwarnings("ignore")
def test_a_fold_is_fitted_on_all_networks_but_the_one_that_would_leak() -> None:
    """The network of fold 0, validated on fold 1, alone would have the threshold of fold 1 at 0.3."""
    networks = {0: network(0.3), 1: network(0.7), 2: network(0.7)}
    choice = StepSearch({"image_probability": (0,), "threshold": (0.5, 0.3, 0.7)}, 1.0, PairedTest(200, 0.95, seed=0))
    entries = fit_all(networks, networks_to_fit_on(range(3), by_group(3)), choice)
    assert list(entries) == ["fold-0", "fold-1", "fold-2", "all"]
    assert entries["fold-1"]["threshold"] == 0.7
    assert entries["fold-1"]["fitted_after"] == 1
    assert {name: entry["fitted_images"] for name, entry in entries.items()} == {
        "fold-0": 24,
        "fold-1": 24,
        "fold-2": 24,
        "all": 36,
    }


def test_class_logits_of_a_network_that_is_not_in_its_pool_are_calibrated_on_those_of_the_pool() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 60)
    # The more certain the logits, the higher the temperature that calibrates them.
    logits = [scale * (np.eye(3)[classes] + rng.normal(0, 0.8, (60, 3))) for scale in (1, 2, 4)]
    networks = {
        fold: replace(network(0.5, images=60), classes=classes, logits=logits[fold], temperature=float(fold + 1))
        for fold in range(3)
    }
    choice = StepSearch({"image_probability": (0,), "threshold": (0.5,)}, 1.0, PairedTest(200, 0.95, seed=0))
    own = fit_all(networks, {fold: [fold] for fold in range(3)}, choice)
    assert [own[f"fold-{fold}"]["temperature"] for fold in range(3)] == [1, 2, 3]
    cross_fitted = fit_all(
        networks, {fold: [other for other in range(3) if other != fold] for fold in range(3)}, choice
    )
    temperatures = [cross_fitted[f"fold-{fold}"]["temperature"] for fold in range(3)]
    assert temperatures == sorted(temperatures, reverse=True)
    assert cross_fitted["all"] == own["all"]
