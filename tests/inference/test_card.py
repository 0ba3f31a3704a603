import json

import pytest

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.inference.card import Card, pooled

POSTPROCESSING = Postprocessing(Steps(threshold=0.3, fill_holes=True), 1.4, ((0.1, 0.0), (0.9, 0.8)))
CARD = Card("attention-unet", "busi", (0, 1), 256, True, CLASSES, POSTPROCESSING.to_json())


def test_a_card_comes_back_from_its_text() -> None:
    properties = CARD.as_properties()
    assert all(isinstance(value, str) for value in properties.values())
    assert Card.from_properties(properties | {"other": "ignored"}) == CARD
    assert CARD.postprocessing == POSTPROCESSING


@pytest.mark.parametrize("name", ["name", "size", "postprocess"])
def test_a_card_that_lacks_a_property_is_refused(name: str) -> None:
    properties = CARD.as_properties()
    del properties[name]
    with pytest.raises(KeyError):
        Card.from_properties(properties)


def test_post_processing_that_lacks_a_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="postprocess"):
        Card.from_properties(CARD.as_properties() | {"postprocess": json.dumps({"smooth": 0.01})})


def test_classes_other_than_those_of_the_project_are_refused() -> None:
    with pytest.raises(ValueError, match="classes"):
        Card.from_properties(CARD.as_properties() | {"classes": json.dumps(["normal", "benign", "malignant"])})


def test_the_entry_fitted_on_all_folds_goes_before_that_of_the_first_fold() -> None:
    first, second, every = {"threshold": 0.3}, {"threshold": 0.4}, {"threshold": 0.5}
    assert pooled({"fold-1": first, "fold-2": second}) == first
    assert pooled({"fold-1": first, "all": every}) == every


FITTED = POSTPROCESSING.to_json()
LIES = [
    ("name", "red\x1b[31m"),
    ("data", ""),
    ("folds", "[]"),
    ("folds", "[0, 0]"),
    ("folds", "[-1]"),
    ("folds", '"01"'),
    ("folds", "5"),
    ("size", "256.5"),
    ("size", "256.0"),
    ("size", "true"),
    ("size", "0"),
    ("size", "100000"),
    ("size", "NaN"),
    ("size", "1e400"),
    ("size", "[256]"),
    ("size", "256 pixels"),
    ("mirror", "1"),
    ("mirror", '"false"'),
    ("classes", '"abc"'),
    ("classes", '["benign", "benign", "normal"]'),
    ("classes", "[[], [], []]"),
    ("postprocess", "[]"),
    ("postprocess", "{"),
    ("postprocess", "[" * 100_000),
    *(
        ("postprocess", json.dumps(FITTED | changed))
        for changed in (
            {"threshold": -5},
            {"threshold": 0},
            {"threshold": float("nan")},
            {"threshold": "0.3"},
            {"threshold": True},
            {"smooth": 1.5},
            {"smooth": -0.1},
            {"fill_holes": 1},
            {"largest_only": "no"},
            {"temperature": 0},
            {"temperature": float("inf")},
            {"dice_calibration": []},
            {"dice_calibration": [[0.9, 0.0], [0.1, 0.8]]},
            {"dice_calibration": [[0.1, 0.0], [0.9, 8]]},
            {"dice_calibration": [[0.1, float("nan")]]},
            {"dice_calibration": [0.1, 0.9]},
        )
    ),
]


@pytest.mark.parametrize(("name", "value"), LIES, ids=[f"{name} {value[-60:]}" for name, value in LIES])
def test_a_property_that_no_network_of_the_pipeline_has_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Card.from_properties(CARD.as_properties() | {name: value})
