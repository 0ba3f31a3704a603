"""The reminder to raise SCORING_RULES: the scores of a few fixed masks, by the version of the rules."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from breast_ultrasound.scoring.scores import SCORES, SCORING_RULES, add_scores, count, surface_distances

NAN = float("nan")

DRAWN = {
    "small": "........ ........ ..###... ..###... ..###... ........",
    "large": "........ .######. .######. .######. .######. ........",
    "parts": "........ .##..... .##..##. .....##. .....##. ........",
    "corner": "##...... #....... ........ ........ ........ ........",
    "empty": "........ ........ ........ ........ ........ ........",
    "full": "######## ######## ######## ######## ######## ########",
}

# By version: the predicted and the true mask, and their scores in the order of SCORES.
EXPECTED = {
    1: {
        ("small", "small"): (1, 1, 1, 1, 1, 0, 0, 0),
        ("small", "large"): (0.545454545, 0.375, 0.375, 1, 1, 2.05901699, 0.961020629, -0.625),
        ("large", "small"): (0.545454545, 0.375, 1, 0.375, 0.615384615, 2.05901699, 0.961020629, 1.66666667),
        ("parts", "large"): (0.588235294, 0.416666667, 0.416666667, 1, 1, 2, 0.592854368, -0.583333333),
        ("large", "parts"): (0.588235294, 0.416666667, 1, 0.416666667, 0.631578947, 2, 0.592854368, 1.4),
        ("corner", "small"): (0, 0, 0, 0, 0.923076923, 4.73492424, 3.26271538, -0.666666667),
        ("parts", "corner"): (0, 0, 0, 0, 0.777777778, 6.14564668, 3.24822614, 2.33333333),
        ("full", "small"): (0.315789474, 0.1875, 1, 0.1875, 0, 3.16227766, 2.0811165, 4.33333333),
        ("small", "full"): (0.315789474, 0.1875, 0.1875, 1, NAN, 3.16227766, 2.0811165, -0.8125),
        ("empty", "small"): (0, 0, 0, NAN, 1, NAN, NAN, -1),
        ("small", "empty"): (0, 0, NAN, 0, 0.8125, NAN, NAN, NAN),
        ("empty", "empty"): (1, 1, NAN, NAN, 1, NAN, NAN, NAN),
        ("full", "full"): (1, 1, 1, 1, NAN, 0, 0, 0),
    },
}


def mask(name: str) -> NDArray[np.bool_]:
    return np.array([[pixel == "#" for pixel in row] for row in DRAWN[name].split()])


@pytest.mark.parametrize(("predicted", "truth"), EXPECTED.get(SCORING_RULES, {}))
def test_the_scores_of_fixed_masks_change_with_the_version_of_the_rules_alone(predicted: str, truth: str) -> None:
    masks = mask(predicted), mask(truth)
    row = add_scores(pd.DataFrame([count(*masks) | surface_distances(*masks)])).iloc[0]
    assert row[list(SCORES)].tolist() == pytest.approx(EXPECTED[SCORING_RULES][predicted, truth], nan_ok=True), (
        "the rules of scoring changed: raise SCORING_RULES in breast_ultrasound/scoring/scores.py, so that `compare` "
        "refuses to hold new runs against old ones, and add the new scores to EXPECTED under that version"
    )


def test_every_version_of_the_rules_has_its_scores_here() -> None:
    assert max(EXPECTED) == SCORING_RULES
