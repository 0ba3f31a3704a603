import json
from pathlib import Path

import numpy as np
import pytest

from breast_ultrasound.answers.answer import Fitted, read_fitted
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.pipeline.errors import UserError

PROBABILITY = np.array([[0, 0, 0], [0, 200, 200], [0, 200, 200]], np.uint8)
NO_CLASSES = np.empty(0)


def test_an_answer_holds_mask_class_and_how_sure_both_are() -> None:
    answer = Fitted(temperature=2.0).answer(PROBABILITY, np.array([4.0, 0.0, 2.0]))
    assert np.array_equal(answer.mask, PROBABILITY > 0)
    assert answer.classes == pytest.approx(np.exp([2, 0, 1]) / np.exp([2, 0, 1]).sum())
    assert answer.chance == pytest.approx(1 - answer.classes[2])
    sure = 200 / 255
    assert answer.dice == pytest.approx(answer.chance * 2 * 4 * sure / (4 * sure + 4))


def test_a_network_without_classes_is_as_sure_as_its_likeliest_pixel() -> None:
    answer = Fitted().answer(PROBABILITY, NO_CLASSES)
    assert not answer.classes.size
    assert answer.chance == pytest.approx(200 / 255)


def test_what_was_fitted_comes_back_from_its_file(tmp_path: Path) -> None:
    fitted = Fitted(Steps(threshold=0.35, largest_only=True), 1.7, ((0.1, 0.0), (0.8, 0.9)))
    path = tmp_path / "postprocess.json"
    path.write_text(json.dumps({"fold-0": fitted.to_json() | {"validation_before": 0.8}}))
    assert read_fitted(path, "fold-0") == fitted


def test_a_file_from_before_a_step_was_known_has_that_step_off(tmp_path: Path) -> None:
    path = tmp_path / "postprocess.json"
    path.write_text('{"fold-0": {"threshold": 0.4, "validation_dice_before": 0.7}}')
    assert read_fitted(path, "fold-0") == Fitted(Steps(threshold=0.4))


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"fold-0": {"smooth": 0.5}}', "damaged"])
def test_a_file_without_what_was_fitted_is_told(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "postprocess.json"
    if content:
        path.write_text(content)
    with pytest.raises(UserError, match=r"postprocess\.json: holds no post-processing for fold-0"):
        read_fitted(path, "fold-0")
