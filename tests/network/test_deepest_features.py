import keras
import numpy as np
import pytest
from small_network import small_network

from breast_ultrasound.network.deepest_features import DEEPEST_FEATURES, FeatureDistance, with_deepest_features
from breast_ultrasound.network.unet import CLASS_OUTPUT, attention_unet

GREY = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(0)


def test_the_deepest_features_are_those_from_which_the_class_head_makes_its_logits() -> None:
    network = attention_unet(16, small_network())
    outputs = with_deepest_features(network).predict_on_batch(GREY)
    kernel, bias = network.get_layer(CLASS_OUTPUT).get_weights()
    assert outputs[DEEPEST_FEATURES] @ kernel + bias == pytest.approx(outputs[CLASS_OUTPUT], abs=1e-4)
    before = network.predict_on_batch(GREY)
    assert all(np.array_equal(outputs[name], before[name]) for name in before)


def test_a_network_without_a_class_head_stays_as_it_is() -> None:
    network = attention_unet(16, small_network(class_head=False))
    assert with_deepest_features(network) is network


def test_the_distance_is_the_length_of_the_whitened_features() -> None:
    distance = FeatureDistance(np.array([1, 1], np.float32), np.diag([2, 0.5]).astype(np.float32))
    features = np.array([[1, 1], [3, 1], [1, 9], [3, 9]], np.float32)
    assert np.asarray(distance(features)) == pytest.approx([0, 4, 4, np.sqrt(32)])
