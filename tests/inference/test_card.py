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
    with pytest.raises(KeyError):
        Card.from_properties(CARD.as_properties() | {"postprocess": json.dumps({"smooth": 0.01})})


def test_classes_other_than_those_of_the_project_are_refused() -> None:
    with pytest.raises(ValueError, match="classes"):
        Card.from_properties(CARD.as_properties() | {"classes": json.dumps(["normal", "benign", "malignant"])})


def test_the_entry_fitted_on_all_folds_goes_before_that_of_the_first_fold() -> None:
    first, second, every = {"threshold": 0.3}, {"threshold": 0.4}, {"threshold": 0.5}
    assert pooled({"fold-1": first, "fold-2": second}) == first
    assert pooled({"fold-1": first, "all": every}) == every
