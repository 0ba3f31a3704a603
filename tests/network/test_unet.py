import keras
import numpy as np
import pytest

from stages.network.unet import attention_unet


@pytest.mark.parametrize(("stem", "depth"), [(1, 2), (2, 3), (4, 2)])
def test_logits_have_the_grid_of_the_image_in_float32(stem: int, depth: int) -> None:
    network = attention_unet(32, stem, width=4, depth=depth, dropout=0.1)
    logits = network(np.zeros((2, 32, 32, 1), np.float32))
    assert logits.shape == (2, 32, 32, 1)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


def test_there_is_a_gate_on_every_skip() -> None:
    network = attention_unet(64, 1, width=4, depth=5, dropout=0.0)
    assert sum(isinstance(layer, keras.layers.Multiply) for layer in network.layers) == 4
