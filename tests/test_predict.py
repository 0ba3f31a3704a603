import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from stages.cases.release import CLASSES
from stages.predict import class_columns


def test_each_class_has_its_probability_and_the_logit_from_which_it_follows() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [-40.0, 0.0, 40.0]], np.float32)
    table = class_columns(logits)
    assert list(table) == ["p_benign", "p_malignant", "p_normal", "logit_benign", "logit_malignant", "logit_normal"]
    assert table[[f"p_{name}" for name in CLASSES]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert np.array_equal(table[[f"logit_{name}" for name in CLASSES]], logits)
    assert np.allclose(table.filter(like="p_"), softmax(logits, axis=1))


def test_a_network_without_a_class_head_adds_no_column() -> None:
    rows = pd.DataFrame({"id": ["benign (1)", "benign (2)"]})
    assert rows.join(class_columns(np.empty((2, 0), np.float32))).equals(rows)
