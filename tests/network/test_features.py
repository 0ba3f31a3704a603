import numpy as np

from breast_ultrasound.network.features import imagenet_encoder


def test_features_are_repeatable_and_tell_images_apart() -> None:
    squares = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    features = imagenet_encoder(64, seed=0)(squares)
    assert features.shape == (3, 4, 4, 112)
    assert features.dtype == np.float32
    assert np.array_equal(imagenet_encoder(64, seed=0)(squares), features)
    assert np.abs(features[0] - features[1]).max() > 0.1
