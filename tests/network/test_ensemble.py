from pathlib import Path

import keras
import numpy as np
import pytest
from small_network import small_network

from breast_ultrasound.network import model_files
from breast_ultrasound.network.ensemble import Ensemble, Settings
from breast_ultrasound.network.inference import predict
from breast_ultrasound.network.unet import attention_unet
from breast_ultrasound.pipeline.errors import UserError

SETTINGS = Settings.model_validate(
    {
        "seed": 0,
        "split": {"run": [0, 2]},
        "hardware": {"device": "cpu", "precision": "float32"},
        "predict": {"mirror": True},
    }
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    return tmp_path


def test_networks_answer_by_the_means_of_what_each_says(folder: Path) -> None:
    for fold in SETTINGS.split.run:
        keras.utils.set_random_seed(fold)
        model_files.save(attention_unet(16, small_network()), model_files.model_file(fold))
    ensemble = Ensemble.open(SETTINGS)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    probability, logits = ensemble.predict(images)
    (one, its_logits), (other, other_logits) = (predict(network, images, True) for network in ensemble.networks)
    assert ensemble.size == 16
    assert not np.array_equal(one, other)
    assert probability.dtype == np.uint8
    assert np.abs(probability - (one / 2 + other / 2)).max() <= 0.5
    assert np.allclose(logits, (its_logits + other_logits) / 2)


def test_a_network_that_is_missing_is_told(folder: Path) -> None:
    with pytest.raises(UserError, match=r"fold-0\.keras: no trained network there"):
        Ensemble.open(SETTINGS)
