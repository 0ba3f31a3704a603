import keras
import numpy as np
import pytest

from breast_ultrasound.network.deepest_features import DEEPEST_FEATURES
from breast_ultrasound.network.inference import predict


def network(outputs: tuple[str, ...]) -> keras.Model:
    """A network that takes brightness for lesion, the left column of the image for its three classes, and its first
    pixel for its only deepest feature.
    """
    grey = keras.Input((4, 4, 1))
    values = {
        "logits": grey - 100,
        "classes": grey[:, 0, 0] * np.array([[0.01, 0.02, 0.03]], np.float32),
        DEEPEST_FEATURES: grey[:, 0, 0],
    }
    return keras.Model(grey, {name: values[name] for name in outputs})


@pytest.fixture
def image() -> np.ndarray:
    image = np.full((1, 4, 4), 90, np.uint8)
    image[:, :, 3] = 110
    return image


def test_a_prediction_gives_the_probability_of_each_pixel_and_the_logits_of_the_classes(image: np.ndarray) -> None:
    probability, logits, features = predict(network(("logits", "classes")), image, mirror=False)
    assert probability.dtype == np.uint8
    assert np.array_equal(probability, np.where(image > 100, 255, 0))
    assert np.allclose(logits, [[0.9, 1.8, 2.7]])
    assert features.shape == (1, 0)


def test_with_the_mirror_all_are_means_over_the_image_and_its_mirror_image(image: np.ndarray) -> None:
    probability, logits, features = predict(network(("logits", "classes", DEEPEST_FEATURES)), image, mirror=True)
    assert np.array_equal(probability, np.where(image > 100, 255, 0))
    assert np.allclose(logits, [[1.0, 2.0, 3.0]])
    assert np.allclose(features, [[100]])


@pytest.mark.parametrize("mirror", [True, False])
def test_a_network_without_a_class_head_gives_no_logits(image: np.ndarray, mirror: bool) -> None:
    probability, logits, _ = predict(network(("logits",)), image, mirror)
    assert probability.shape == (1, 4, 4)
    assert logits.shape == (1, 0)
