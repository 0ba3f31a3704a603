import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.answers.cross_fitting import Choice, fit_all, networks_to_fit_on
from breast_ultrasound.answers.validation import Validation
from breast_ultrasound.cases.folds import subsets
from breast_ultrasound.scoring.paired import PairedTest


@given(st.integers(2, 7), st.data())
def test_post_processing_is_never_fitted_on_the_images_that_it_is_tested_on(folds: int, data: st.DataObject) -> None:
    run = data.draw(st.lists(st.integers(0, folds - 1), min_size=1, unique=True))
    numbers = pd.Series(range(folds))
    for fold, networks in networks_to_fit_on(run, folds).items():
        # Its own network was not validated on the fold, so there is always something to fit on.
        assert fold in networks
        assert all(subsets(numbers, network)[fold] != "validation" for network in networks)
        left_out = set(run) - set(networks)
        assert all(subsets(numbers, network)[fold] == "validation" for network in left_out)


def test_of_five_folds_four_networks_remain_for_each() -> None:
    assert networks_to_fit_on(range(5), folds=5)[0] == [0, 1, 2, 3]


def network(threshold: float, images: int = 12) -> Validation:
    """Return validation images whose true masks are what is at least as probable as a threshold."""
    rng = np.random.default_rng(0)
    probabilities = rng.integers(0, 256, (images, 16, 16), np.uint8)
    pairs = [(probability, (probability >= 255 * threshold).astype(np.uint8)) for probability in probabilities]
    classes = np.zeros(images, np.int64)
    return Validation(pairs, np.ones(images, bool), np.arange(images), classes, np.empty((images, 0)), 1.0)


@pytest.mark.filterwarnings("ignore")
def test_a_fold_is_fitted_on_all_networks_but_the_one_that_would_leak() -> None:
    """The network of fold 0, validated on fold 1, alone would have the threshold of fold 1 at 0.3."""
    networks = {0: network(0.3), 1: network(0.7), 2: network(0.7)}
    choice = Choice({"image_probability": (0,), "threshold": (0.5, 0.3, 0.7)}, 1.0, PairedTest(200, 0.95, seed=0))
    entries = fit_all(networks, 3, choice)
    assert list(entries) == ["fold-0", "fold-1", "fold-2", "all"]
    assert entries["fold-1"]["threshold"] == 0.7
    assert entries["fold-1"]["validation_after"] == 1
    assert {name: entry["validation_images"] for name, entry in entries.items()} == {
        "fold-0": 24,
        "fold-1": 24,
        "fold-2": 24,
        "all": 36,
    }
