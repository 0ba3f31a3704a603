import numpy as np
import pandas as pd

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import Prepared
from breast_ultrasound.cases.scanners import SCANNERS
from stages.predict import planned, shown


def test_validation_images_are_predicted_as_they_are_and_as_each_scanner_shows_them() -> None:
    folds = pd.DataFrame({"id": list("abcde"), "fold": [0, 1, 2, 1, -1]})
    rows = planned(folds, fold=0)
    assert rows["id"][rows["subset"].isin(["validation", "test"])].tolist() == ["a", "b", "d"]
    for scanner in SCANNERS:
        assert rows["id"][rows["subset"] == scanner].tolist() == ["b", "d"]
    assert set(rows["subset"]) == {"validation", "test", *SCANNERS}


def test_the_padding_of_a_changed_image_stays_black() -> None:
    box = Letterbox.fit(40, 80, size=64)
    image = np.random.default_rng(0).integers(50, 200, (40, 80), np.uint8)
    square = box.image_in(image)
    prepared = Prepared(square[None], np.zeros((1, 64, 64), np.uint8), pd.DataFrame([box.geometry()]))
    assert np.array_equal(shown(prepared, 0, "test"), square)
    for scanner in SCANNERS:
        changed = shown(prepared, 0, scanner)
        assert not np.array_equal(changed, square)
        changed[box.top : box.top + box.content_height] = 0
        assert not changed.any()
