from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.network.features import imagenet_encoder


def encode_twice(squares: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What two encoders of one seed return."""
    return [imagenet_encoder(64, seed=0)(squares) for _ in range(2)]


def test_features_are_repeatable_and_tell_images_apart() -> None:
    squares = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    # In a process of its own: the encoder limits the instructions of its process, for good.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        features, again = process.submit(encode_twice, squares).result()
    assert features.shape == (3, 4, 4, 112)
    assert features.dtype == np.float32
    assert np.array_equal(again, features)
    assert np.abs(features[0] - features[1]).max() > 0.1
