import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from breast_ultrasound.scoring.classification import classification


def table(rows: list[tuple[str, float, float, float]]) -> pd.DataFrame:
    """Return images with a true class and probabilities of benign, malignant and normal, each a group of its own."""
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


def test_the_most_probable_class_is_counted_by_the_true_one() -> None:
    figures = classification(MIXED, 0.95)
    assert figures["confusion"] == {
        "benign": {"benign": 2, "malignant": 1, "normal": 0},
        "malignant": {"benign": 1, "malignant": 1, "normal": 0},
        "normal": {"benign": 0, "malignant": 0, "normal": 1},
    }
    assert figures["accuracy"]["value"] == pytest.approx(4 / 6, abs=1e-4)
    assert figures["accuracy"]["low"] < 4 / 6 < figures["accuracy"]["high"]
    assert figures["by class"]["malignant"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert figures["by class"]["normal"] == {"precision": 1, "recall": 1, "f1": 1}


def test_malignant_against_benign_does_not_depend_on_the_probability_of_a_lesion() -> None:
    rng = np.random.default_rng(0)
    malignancy, lesion, malignant = rng.random(40), rng.uniform(0.1, 1, 40), np.arange(40) % 2 == 0
    rows = zip(
        np.where(malignant, "malignant", "benign"),
        lesion * (1 - malignancy),
        lesion * malignancy,
        1 - lesion,
        strict=True,
    )
    figures = classification(table(list(rows)), 0.95)["malignant against benign"]
    assert figures["value"] == pytest.approx(roc_auc_score(malignant, malignancy), abs=1e-4)
    assert figures["low"] < figures["value"] < figures["high"]


def test_a_class_that_no_image_has_leaves_its_figures_out_or_at_zero() -> None:
    figures = classification(MIXED[MIXED["class"] == "normal"], 0.95)
    assert "malignant against benign" not in figures
    assert figures["by class"]["benign"] == {"precision": 0, "recall": 0, "f1": 0}
    assert figures["accuracy"]["value"] == 1


def test_without_predicted_classes_there_are_no_figures() -> None:
    assert classification(MIXED.drop(columns="p_normal"), 0.95) == {}
