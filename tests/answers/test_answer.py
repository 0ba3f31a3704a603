import json
from pathlib import Path

import numpy as np
import pytest

from breast_ultrasound.answers.answer import Postprocessing, read_postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.pipeline.errors import UserError

PROBABILITY = np.array([[0, 0, 0], [0, 200, 200], [0, 200, 200]], np.uint8)
NO_CLASSES = np.empty(0)


def test_an_answer_holds_the_mask_the_class_and_the_confidence_in_both() -> None:
    answer = Postprocessing(temperature=2.0).answer(PROBABILITY, np.array([4.0, 0.0, 2.0]))
    assert np.array_equal(answer.mask, PROBABILITY > 0)
    assert answer.class_probabilities == pytest.approx(np.exp([2, 0, 1]) / np.exp([2, 0, 1]).sum())
    assert answer.image_probability == pytest.approx(1 - answer.class_probabilities[2])
    pixel = 200 / 255
    assert answer.predicted_dice == pytest.approx(answer.image_probability * 2 * 4 * pixel / (4 * pixel + 4))


def test_a_network_without_classes_is_as_confident_as_its_most_probable_pixel() -> None:
    answer = Postprocessing().answer(PROBABILITY, NO_CLASSES)
    assert not answer.class_probabilities.size
    assert answer.image_probability == pytest.approx(200 / 255)


def test_a_fitted_post_processing_comes_back_from_its_file(tmp_path: Path) -> None:
    fitted = Postprocessing(Steps(threshold=0.35, largest_only=True), 1.7, ((0.1, 0.0), (0.8, 0.9)))
    path = tmp_path / "postprocess.json"
    path.write_text(json.dumps({"fold-0": fitted.to_json() | {"validation_before": 0.8}}))
    assert read_postprocessing(path, "fold-0") == fitted


def test_an_earlier_file_with_fewer_steps_leaves_the_others_off(tmp_path: Path) -> None:
    path = tmp_path / "postprocess.json"
    path.write_text('{"fold-0": {"threshold": 0.4, "validation_dice_before": 0.7}}')
    assert read_postprocessing(path, "fold-0") == Postprocessing(Steps(threshold=0.4))


def test_an_earlier_file_is_read_by_its_own_keys() -> None:
    earlier = {"threshold": 0.4, "chance": 0.1, "estimate": [[0.1, 0.0], [0.8, 0.9]]}
    expected = Postprocessing(Steps(threshold=0.4, image_probability=0.1), 1.0, ((0.1, 0.0), (0.8, 0.9)))
    assert Postprocessing.from_json(earlier) == expected


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"fold-0": {"smooth": 0.5}}', "damaged"])
def test_a_file_without_the_entry_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "postprocess.json"
    if content:
        path.write_text(content)
    with pytest.raises(UserError, match=r"postprocess\.json: holds no post-processing for fold-0"):
        read_postprocessing(path, "fold-0")
