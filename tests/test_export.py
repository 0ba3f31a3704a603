import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas as pd
import pytest
from small_network import small_network

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.exporting.conversion import portable, write_litert, write_onnx
from breast_ultrasound.exporting.litert import litert_predict
from breast_ultrasound.exporting.proof import Compute, Expected, check, differences
from breast_ultrasound.inference.card import Card
from breast_ultrasound.inference.exported import digest, open_network
from breast_ultrasound.inference.output import Output
from breast_ultrasound.network.ensemble import ensemble_mean
from breast_ultrasound.network.inference import predict
from breast_ultrasound.network.unet import attention_unet
from breast_ultrasound.pipeline.errors import UserError
from stages.export import predict_again

NETWORK = small_network(stem=2, width=8, dropout=0.2)
HEADLESS = NETWORK.model_copy(update={"class_head": False})
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
CARD = Card("tiny", "phantom", (0, 1), 32, True, ("benign", "malignant", "normal"), Postprocessing().to_json())


@pytest.fixture(scope="module")
def networks() -> list[keras.Model]:
    keras.utils.set_random_seed(1)
    return [attention_unet(32, NETWORK), attention_unet(32, HEADLESS)]


@pytest.fixture(scope="module")
def exported(networks: list[keras.Model], tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool, bool], Path]:
    """Write the first network as ONNX, with the mirror image or without, its weights in float16 or not, once."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def write(mirror: bool, half: bool) -> Path:
        file = folder / f"{mirror}-{half}.onnx"
        write_onnx(mean_of(networks[:1], mirror), replace(CARD, mirror=mirror), half, file)
        return file

    return write


def mean_of(networks: list[keras.Model], mirror: bool) -> keras.Model:
    return ensemble_mean([portable(network) for network in networks], mirror, temperature=1.0)


def test_a_network_is_exported_to_the_same_bytes_whatever_was_exported_before(
    networks: list[keras.Model], exported: Callable[[bool, bool], Path], tmp_path: Path
) -> None:
    write_onnx(mean_of(networks[:1], mirror=True), CARD, True, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported(True, True).read_bytes()


@pytest.mark.parametrize("mirror", [False, True])
def test_an_onnx_file_computes_what_keras_computes(
    networks: list[keras.Model], exported: Callable[[bool, bool], Path], mirror: bool
) -> None:
    assert_same_outputs(open_network(exported(mirror, True)).predict, networks[0], mirror)


def test_a_litert_file_computes_what_keras_computes(networks: list[keras.Model], tmp_path: Path) -> None:
    write_litert(mean_of(networks[:1], True), CARD, half=True, path=tmp_path / "tiny.tflite")
    assert_same_outputs(litert_predict(tmp_path / "tiny.tflite"), networks[0], mirror=True)


def assert_same_outputs(compute: Compute, network: keras.Model, mirror: bool) -> None:
    """A file computes for IMAGES what Keras computes."""
    expected, logits, _ = predict(network, IMAGES, mirror)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for image, probability, classes in zip(IMAGES, expected, shares, strict=True):
        output = compute(image)
        assert np.abs(output.probability.astype(int) - probability).max() <= 1
        assert output.class_probabilities == pytest.approx(classes, abs=2e-3)


def test_several_networks_are_averaged_and_none_of_them_needs_a_class_head(
    networks: list[keras.Model], tmp_path: Path
) -> None:
    headless = [networks[1], attention_unet(32, HEADLESS)]
    write_onnx(mean_of(headless, True), replace(CARD, classes=()), half=False, path=tmp_path / "two.onnx")
    network = open_network(tmp_path / "two.onnx")
    mean = np.mean([predict(one, IMAGES, mirror=True).probability for one in headless], axis=0)
    for image, probability in zip(IMAGES, mean, strict=True):
        output = network.predict(image)
        assert np.abs(output.probability - probability).max() <= 1
        assert output.class_probabilities.shape == (0,)


def test_a_file_takes_any_number_of_images_and_half_the_weights_are_half_as_large(
    exported: Callable[[bool, bool], Path],
) -> None:
    sizes = []
    for half in (False, True):
        model = onnx.load(exported(True, half))
        sizes.append(sum(len(tensor.raw_data) for tensor in model.graph.initializer))
        shapes = [value.type.tensor_type.shape.dim[0].dim_param for value in (*model.graph.input, *model.graph.output)]
        assert shapes == ["batch"] * 3
    assert sizes[1] < 0.7 * sizes[0]
    assert open_network(exported(True, True)).card == CARD


def output(probability: int = 128, share: float = 0.5, distance: float | None = None) -> Output:
    return Output(np.full((8, 8), probability, np.uint8), np.array([share, 1 - share, 0]), distance)


def expected(should_be: Output) -> Expected:
    return Expected(np.zeros((8, 8), np.uint8), Letterbox.fit(16, 16, 8), should_be)


def test_differences_are_the_largest_ones_and_count_the_pixels_whose_mask_changes() -> None:
    images = [expected(output(128, 0.5, 0.75)), expected(output(77, 0.25, 0.9))]
    figures = differences(lambda _: output(128, 0.5, 0.8), images, Postprocessing())
    assert figures == {
        "images": 2,
        "probability": 0.2,
        "class_probability": 0.25,
        "feature_distance": 0.1,
        "mask_pixels_changed": 256,
        "mask_pixels": 512,
    }
    check({"fold-0": figures}, bound=0.3)
    with pytest.raises(UserError, match=r"fold-0: class_probability .* by 0\.25, more than export\.bound"):
        check({"fold-0": figures}, bound=0.22)


@pytest.mark.parametrize(("computed", "should_be"), [(None, 0.5), (0.5, None), (np.nan, 0.5)])
def test_a_file_that_lacks_a_feature_distance_or_computes_none_is_refused(
    computed: float | None, should_be: float | None
) -> None:
    images = [expected(output(distance=should_be))]
    figures = differences(lambda _: output(distance=computed), images, Postprocessing())
    with pytest.raises(UserError, match="fold-0: feature_distance"):
        check({"fold-0": figures}, bound=0.05)


def test_networks_without_feature_distances_differ_by_none() -> None:
    figures = differences(lambda _: output(), [expected(output())], Postprocessing())
    assert (figures["feature_distance"], figures["mask_pixels_changed"]) == (0, 0)


def test_a_file_of_several_networks_is_compared_with_their_mean_in_keras(networks: list[keras.Model]) -> None:
    box = Letterbox.fit(32, 32, 32)
    images = [Expected(image, box, Output(image, np.empty(0))) for image in IMAGES]
    again = list(predict_again(ensemble_mean(networks[:1], True, 1.0), images))
    probability, logits, _ = predict(networks[0], IMAGES, mirror=True)
    assert np.abs(np.stack([image.output.probability for image in again]).astype(int) - probability).max() <= 1
    assert np.array_equal(np.stack([image.grid for image in again]), IMAGES)
    assert again[0].output.class_probabilities.shape == logits[0].shape


def test_the_run_exports_the_mean_of_the_folds_asked_for_and_proves_each_and_their_mean(clone: Path) -> None:
    proof = json.loads((clone / "metrics/export/onnx.json").read_text())
    file = clone / "models/attention-unet.onnx"
    assert (proof["bytes"], proof["sha256"]) == (file.stat().st_size, digest(file))
    folds = pd.read_csv(clone / "data/folds.csv")["fold"]
    tested = {"fold-0": (folds == 0).sum(), "fold-1": (folds == 1).sum(), "average": (folds < 2).sum()}
    assert {name: proof[name]["images"] for name in tested} == tested
    assert max(proof[name]["probability"] for name in tested) < 0.05
    # Float16 moves it, so that one that was not compared would show.
    assert all(0 < proof[name]["feature_distance"] < 0.05 for name in tested)
    exported = open_network(file)
    assert exported.has_distance
    card = exported.card
    entries = json.loads((clone / "metrics/postprocess.json").read_text())
    assert (card.data, card.folds, card.size, card.mirror) == ("phantom", (0, 1), 64, True)
    assert card.postprocess == entries.get("all", entries["fold-0"])
