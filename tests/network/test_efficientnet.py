import cv2
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_sample_images

from breast_ultrasound.network.efficientnet import VERSIONS, efficientnet_lite, load_imagenet
from breast_ultrasound.network.layers import BatchNormalization

PALACE, DAISY = 698, 985


def classifier(version: str, side: int) -> keras.Model:
    """The whole published network, with the head that the encoder leaves out."""
    image = keras.Input((side, side, 3))
    x = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(efficientnet_lite(image, version)[-1])
    x = layers.GlobalAveragePooling2D()(layers.ReLU(6)(BatchNormalization(name="bn1")(x)))
    network = keras.Model(image, layers.Dense(1000, name="fc")(x))
    load_imagenet(network, version)
    return network


# Sides at which each version names both pictures. At others it may not: Lite2, run by PyTorch at its own 260 pixels,
# takes the flower for a honeycomb.
@pytest.mark.parametrize(
    ("version", "side"), [("efficientnet-lite0", 224), ("efficientnet-lite1", 128), ("efficientnet-lite2", 128)]
)
def test_the_weights_recognise_a_palace_and_a_daisy(version: str, side: int) -> None:
    squares = (picture[:, 106:533] for picture in load_sample_images().images)
    pixels = np.stack([cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA) for square in squares])
    logits = np.asarray(classifier(version, side)((pixels.astype(np.float32) - 127) / 128))
    assert logits.argmax(axis=1).tolist() == [PALACE, DAISY]


@pytest.mark.parametrize("version", VERSIONS)
def test_features_come_at_strides_2_to_32(version: str) -> None:
    features = efficientnet_lite(keras.Input((64, 64, 1)), version)
    assert [feature.shape[1] for feature in features] == [32, 16, 8, 4, 2]
    if version == "efficientnet-lite0":
        assert [feature.shape[-1] for feature in features] == [16, 24, 40, 112, 320]


def test_depthwise_convolutions_are_trained_in_float32_whatever_the_rest_is() -> None:
    image = keras.Input((32, 32, 1))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = keras.Model(image, efficientnet_lite(image, "efficientnet-lite0")[-1])
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in network.layers if isinstance(layer, layers.DepthwiseConv2D)} == {"float32"}
    assert {layer.compute_dtype for layer in network.layers if type(layer) is layers.Conv2D} == {"bfloat16"}
    assert np.isfinite(np.asarray(network(np.ones((1, 32, 32, 1), np.float32)), np.float32)).all()


def test_one_grey_channel_gives_what_three_equal_ones_give() -> None:
    grey = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    deepest = []
    for channels in (1, 3):
        image = keras.Input((32, 32, channels))
        network = keras.Model(image, efficientnet_lite(image, "efficientnet-lite0")[-1])
        load_imagenet(network, "efficientnet-lite0")
        deepest.append(np.asarray(network(np.repeat(grey, channels, axis=-1))))
    assert np.allclose(*deepest, atol=1e-3)
