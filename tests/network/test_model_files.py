import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from small_network import small_network

from stages.network import model_files
from stages.network.layers import BatchNormalization
from stages.network.unet import CLASS_LOGITS, LOGITS, attention_unet
from stages.pipeline.errors import UserError


@pytest.fixture
def network() -> keras.Model:
    # What half precision loses depends on the weights.
    keras.utils.set_random_seed(0)
    return attention_unet(16, small_network())


IMAGE = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 1)).astype(np.float32)


def same_outputs(one: keras.Model, other: keras.Model, tolerance: float) -> bool:
    outputs, others = one(IMAGE), other(IMAGE)
    assert set(outputs) == set(others) == {LOGITS, CLASS_LOGITS}
    return all(np.allclose(outputs[name], others[name], atol=tolerance) for name in outputs)


def test_the_same_weights_give_the_same_bytes(network: keras.Model, tmp_path: Path) -> None:
    for name in ("one.keras", "two.keras"):
        model_files.save(network, tmp_path / name)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()


def test_keras_opens_the_file_in_safe_mode(network: keras.Model, tmp_path: Path) -> None:
    model_files.save(network, tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert same_outputs(opened, network, 1e-5)


def test_the_file_holds_layers_of_keras_alone_and_is_computed_by_ours(network: keras.Model, tmp_path: Path) -> None:
    model_files.save(network, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        stored = archive.read("config.json").decode()
    assert "BatchNormalization" in stored
    assert "stages" not in stored
    loaded = model_files.load(tmp_path / "model.keras", "float32")
    assert any(type(layer) is BatchNormalization for layer in loaded.layers)
    assert not any(type(layer) is keras.layers.BatchNormalization for layer in loaded.layers)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_network_computes_in_the_precision_asked_for(network: keras.Model, precision: str) -> None:
    copy = model_files.with_precision(network, precision)
    assert {layer.compute_dtype for layer in copy.layers} == {precision, "float32"}
    assert {copy.get_layer(name).compute_dtype for name in (LOGITS, CLASS_LOGITS)} == {"float32"}
    assert same_outputs(copy, network, 0.1)
    assert all(layer.compute_dtype == "float32" for layer in model_files.with_precision(copy, "float32").layers)


def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.keras: no trained network"):
        model_files.load(tmp_path / "model.keras", "float32")
    (tmp_path / "model.keras").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"model\.keras: not a network"):
        model_files.load(tmp_path / "model.keras", "float32")
