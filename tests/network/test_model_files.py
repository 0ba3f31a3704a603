import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from small_network import small_network

from breast_ultrasound.network import model_files
from breast_ultrasound.network.layers import BatchNormalization
from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT, attention_unet
from breast_ultrasound.pipeline.errors import UserError


@pytest.fixture
def network() -> keras.Model:
    # What half precision loses depends on the weights.
    keras.utils.set_random_seed(0)
    return attention_unet(16, small_network())


IMAGE = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 1)).astype(np.float32)


def same_outputs(one: keras.Model, other: keras.Model, tolerance: float) -> bool:
    outputs, others = one(IMAGE), other(IMAGE)
    assert set(outputs) == set(others) == {MASK_OUTPUT, CLASS_OUTPUT}
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
    assert "breast_ultrasound" not in stored
    loaded = model_files.load(tmp_path / "model.keras")
    assert any(type(layer) is BatchNormalization for layer in loaded.layers)
    assert not any(type(layer) is keras.layers.BatchNormalization for layer in loaded.layers)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_network_computes_in_float32_whatever_it_was_trained_in(policy: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        trained = attention_unet(16, small_network())
        model_files.save(trained, tmp_path / "model.keras")
        in_half = model_files.load(tmp_path / "model.keras").predict_on_batch(IMAGE.round())
    finally:
        keras.config.set_dtype_policy("float32")
    assert policy.endswith(trained.get_layer("dropout").compute_dtype)
    loaded = model_files.load(tmp_path / "model.keras")
    assert same_outputs(loaded, trained, 0.1)
    in_full = loaded.predict_on_batch(IMAGE.round())
    for name in (MASK_OUTPUT, CLASS_OUTPUT):
        np.testing.assert_array_equal(in_half[name], in_full[name])


def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.keras: no trained network"):
        model_files.load(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"model\.keras: not a network"):
        model_files.load(tmp_path / "model.keras")


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_file_with_a_flipped_byte_is_refused(network: keras.Model, tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.keras"
    model_files.save(network, path)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.keras: not a network"):
        model_files.load(path)


def test_a_training_starts_from_the_weights_of_a_file_which_float16_halves(
    network: keras.Model, tmp_path: Path
) -> None:
    model_files.save(network, tmp_path / "whole.keras")
    model_files.save(network, tmp_path / "half.keras", "float16")
    for name in ("whole.keras", "half.keras"):
        # Weights fit whatever the side of the images is.
        other = attention_unet(32, small_network(), seed=1)
        model_files.start_from(other, tmp_path / name)
        for array, expected in zip(other.get_weights(), network.get_weights(), strict=True):
            assert array == pytest.approx(expected, abs=1e-3)


def test_weights_of_a_network_of_another_shape_are_refused(network: keras.Model, tmp_path: Path) -> None:
    model_files.save(network, tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"network\.weights: .*model\.keras holds a network of another shape"):
        model_files.start_from(attention_unet(16, small_network(width=8)), tmp_path / "model.keras")
