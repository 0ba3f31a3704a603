import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from breast_ultrasound.scoring.classification import classification, of_surest, reliability


def table(rows: list[tuple[str, float, float, float]]) -> pd.DataFrame:
    """Images of a true class with the probabilities of benign, malignant and normal, each a group of its own."""
    columns = ["class", "p_benign", "p_malignant", "p_normal"]
    return pd.DataFrame(rows, columns=columns).assign(group=range(len(rows)))


MIXED = table(
    [
        ("benign", 0.8, 0.1, 0.1),
        ("benign", 0.3, 0.6, 0.1),
        ("benign", 0.5, 0.4, 0.1),
        ("malignant", 0.1, 0.8, 0.1),
        ("malignant", 0.6, 0.3, 0.1),
        ("normal", 0.1, 0.0, 0.9),
    ]
)


def test_the_likeliest_class_is_counted_by_the_true_one() -> None:
    found = classification(MIXED, 0.95)
    assert found["confusion"] == {
        "benign": {"benign": 2, "malignant": 1, "normal": 0},
        "malignant": {"benign": 1, "malignant": 1, "normal": 0},
        "normal": {"benign": 0, "malignant": 0, "normal": 1},
    }
    assert found["accuracy"]["value"] == pytest.approx(4 / 6, abs=1e-4)
    assert found["accuracy"]["low"] < 4 / 6 < found["accuracy"]["high"]
    assert found["by class"]["malignant"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["by class"]["normal"] == {"precision": 1, "recall": 1, "f1": 1}


def test_malignant_is_told_from_benign_whatever_the_chance_of_a_lesion() -> None:
    rng = np.random.default_rng(0)
    chance, lesion, malignant = rng.random(40), rng.uniform(0.1, 1, 40), np.arange(40) % 2 == 0
    rows = zip(
        np.where(malignant, "malignant", "benign"), lesion * (1 - chance), lesion * chance, 1 - lesion, strict=True
    )
    found = classification(table(list(rows)), 0.95)["malignant against benign"]
    assert found["value"] == pytest.approx(roc_auc_score(malignant, chance), abs=1e-4)
    assert found["low"] < found["value"] < found["high"]


def test_a_class_that_no_image_has_leaves_its_figures_out_or_at_zero() -> None:
    found = classification(MIXED[MIXED["class"] == "normal"], 0.95)
    assert "malignant against benign" not in found
    assert found["by class"]["benign"] == {"precision": 0, "recall": 0, "f1": 0}
    assert found["accuracy"]["value"] == 1


def test_without_predicted_classes_there_are_no_figures() -> None:
    assert classification(MIXED.drop(columns="p_normal"), 0.95) == {}


def test_the_surest_are_the_likeliest_and_all_of_them_are_all() -> None:
    found = of_surest(np.array([0.9, 0.5, 0.8, 0.6]), np.array([1.0, 0.0, 1.0, 1.0]))
    assert found == {"50%": 1, "60%": 1, "70%": 1, "80%": 1, "90%": 0.75, "100%": 0.75}
    assert of_surest(np.array([0.3]), np.array([1.0]))["50%"] == 1


def test_probabilities_that_hold_have_no_calibration_error_and_boasts_have_one() -> None:
    right = np.array([1.0, 1, 1, 0] * 50)
    assert reliability(np.full(200, 0.75), right)["calibration error"] == pytest.approx(0)
    assert reliability(np.full(200, 0.95), right)["calibration error"] == pytest.approx(0.2)
    (bin_,) = reliability(np.full(200, 1.0), right)["reliability"]
    assert bin_ == {"probability": 1, "right": 0.75, "images": 200}
