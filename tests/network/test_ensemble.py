from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from small_network import small_network

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.calibration import class_probabilities
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.exporting.conversion import portable, write_onnx
from breast_ultrasound.inference.card import Card
from breast_ultrasound.inference.exported import open_network
from breast_ultrasound.network import model_files
from breast_ultrasound.network.deepest_features import FeatureDistance, with_deepest_features
from breast_ultrasound.network.ensemble import EnsembleSettings, ensemble_mean, open_ensemble, predict_mean
from breast_ultrasound.network.inference import predict
from breast_ultrasound.network.unet import CLASS_OUTPUT, attention_unet
from breast_ultrasound.pipeline.errors import UserError

SETTINGS = EnsembleSettings.model_validate(
    {
        "seed": 0,
        "split": {"run": [0, 1, 2]},
        "export": {"folds": [0, 2]},
        "hardware": {"device": "cpu", "precision": "float32", "arithmetic": "native"},
        "predict": {"mirror": True},
    }
)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
TEMPERATURE = 0.5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    return tmp_path


def disagreeing_networks() -> list[keras.Model]:
    """Two networks whose class heads prefer different classes, with confidence."""
    networks = []
    for seed, bias in enumerate(([4, 0, 0], [0, 0, 2])):
        keras.utils.set_random_seed(seed)
        network = attention_unet(16, small_network())
        kernel, _ = network.get_layer(CLASS_OUTPUT).get_weights()
        network.get_layer(CLASS_OUTPUT).set_weights([kernel, np.array(bias, np.float32)])
        networks.append(network)
    return networks


def mean_by_hand(networks: Sequence[keras.Model]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of calibrated probabilities, from the single networks' predictions."""
    singles = [predict(network, IMAGES, mirror=True) for network in networks]
    classes = [class_probabilities(single.logits, TEMPERATURE) for single in singles]
    return np.mean([single.probability for single in singles], axis=0), np.mean(classes, axis=0)


def test_the_mean_of_networks_is_that_of_their_calibrated_probabilities(folder: Path) -> None:
    networks = disagreeing_networks()
    for fold, network in zip(SETTINGS.export.folds, networks, strict=True):
        model_files.save(network, model_files.model_file(fold))
    ensemble = open_ensemble(SETTINGS, TEMPERATURE)
    probability, classes = predict_mean(ensemble, IMAGES)
    expected, expected_classes = mean_by_hand(networks)
    assert ensemble.input_shape[1] == 16
    assert probability.dtype == np.uint8
    assert np.abs(probability - expected).max() <= 1
    assert classes == pytest.approx(expected_classes, abs=1e-5)
    # The mean of logits, which the networks' confidence weighs, is another one.
    logits = np.mean([predict(network, IMAGES, mirror=True).logits for network in networks], axis=0)
    assert np.abs(class_probabilities(logits, TEMPERATURE) - classes).max() > 0.1


def test_an_exported_file_computes_the_mean_that_keras_computes(tmp_path: Path) -> None:
    networks = disagreeing_networks()
    card = Card("two", "phantom", (0, 1), 16, True, CLASSES, Postprocessing(temperature=TEMPERATURE).to_json())
    exported = ensemble_mean([portable(network) for network in networks], mirror=True, temperature=TEMPERATURE)
    write_onnx(exported, card, half=False, path=tmp_path / "two.onnx")
    outputs = [open_network(tmp_path / "two.onnx").predict(image) for image in IMAGES]
    probability, classes = predict_mean(ensemble_mean(networks, True, TEMPERATURE), IMAGES)
    assert np.abs(np.stack([output.probability for output in outputs]).astype(int) - probability).max() <= 1
    assert np.abs(np.stack([output.class_probabilities for output in outputs]) - classes).max() < 1e-3


@pytest.mark.parametrize("mirror", [True, False])
def test_an_exported_file_computes_the_mean_of_the_feature_distances(tmp_path: Path, mirror: bool) -> None:
    networks, rng = disagreeing_networks(), np.random.default_rng(1)
    distances = [FeatureDistance(rng.normal(size=8).astype("f"), rng.normal(size=(8, 8)).astype("f")) for _ in networks]
    card = Card("two", "phantom", (0, 1), 16, mirror, CLASSES, Postprocessing().to_json())
    exported = ensemble_mean([portable(network) for network in networks], mirror, 1.0, distances)
    write_onnx(exported, card, half=False, path=tmp_path / "two.onnx")
    network = open_network(tmp_path / "two.onnx")
    features = [predict(with_deepest_features(network), IMAGES, mirror).features for network in networks]
    expected = [
        np.linalg.norm((deepest - distance.mean) @ distance.whitening, axis=1)
        for deepest, distance in zip(features, distances, strict=True)
    ]
    assert [network.predict(image).feature_distance for image in IMAGES] == pytest.approx(
        np.mean(expected, axis=0), rel=1e-3
    )


def test_networks_without_class_heads_have_a_mean_without_class_probabilities() -> None:
    network = attention_unet(16, small_network(class_head=False))
    probability, classes = predict_mean(ensemble_mean([network, network], False, 1.0), IMAGES)
    assert (probability.shape, classes.shape) == ((3, 16, 16), (3, 0))
    assert np.abs(probability.astype(int) - predict(network, IMAGES, mirror=False).probability).max() <= 1


def test_a_network_that_is_missing_is_reported(folder: Path) -> None:
    with pytest.raises(UserError, match=r"fold-0\.keras: no trained network there"):
        open_ensemble(SETTINGS, TEMPERATURE)
