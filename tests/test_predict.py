import numpy as np
import pandas as pd

from breast_ultrasound.cases.domain_shifts import DOMAIN_SHIFTS
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import Prepared
from stages.predict import network_input, rows_to_predict


def test_validation_images_are_predicted_as_they_are_and_under_each_domain_shift() -> None:
    folds = pd.DataFrame({"id": list("abcde"), "fold": [0, 1, 2, 1, -1], "validation": [2, 0, 1, 0, -1]})
    rows = rows_to_predict(folds, fold=0)
    assert rows["id"][rows["subset"].isin(["validation", "test"])].tolist() == ["a", "b", "d"]
    for shift in DOMAIN_SHIFTS:
        assert rows["id"][rows["subset"] == shift].tolist() == ["b", "d"]
    assert set(rows["subset"]) == {"validation", "test", *DOMAIN_SHIFTS}


def test_where_no_images_validate_test_images_are_predicted_under_each_domain_shift() -> None:
    rows = rows_to_predict(pd.DataFrame({"id": list("abc"), "fold": [0, 1, 0], "validation": -1}), fold=0)
    for subset in ("test", *DOMAIN_SHIFTS):
        assert rows["id"][rows["subset"] == subset].tolist() == ["a", "c"]
    assert set(rows["subset"]) == {"test", *DOMAIN_SHIFTS}


def test_the_padding_of_a_shifted_image_stays_black() -> None:
    box = Letterbox.fit(40, 80, size=64)
    image = np.random.default_rng(0).integers(50, 200, (40, 80), np.uint8)
    grid = box.to_grid(image)
    prepared = Prepared(grid[None], np.zeros((1, 64, 64), np.uint8), pd.DataFrame([box.geometry()]))
    assert np.array_equal(network_input(prepared, 0, "test"), grid)
    for shift in DOMAIN_SHIFTS:
        shifted = network_input(prepared, 0, shift)
        assert not np.array_equal(shifted, grid)
        shifted[box.top : box.top + box.content_height] = 0
        assert not shifted.any()
