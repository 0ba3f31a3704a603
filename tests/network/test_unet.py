import keras
import numpy as np
import pytest
from keras import ops

from stages.network.unet import attention_gate, attention_unet


@pytest.mark.parametrize(("stem", "depth"), [(1, 2), (2, 3), (4, 2)])
def test_logits_have_the_grid_of_the_image_in_float32(stem: int, depth: int) -> None:
    network = attention_unet(32, stem, width=4, depth=depth, dropout=0.1)
    logits = network(np.zeros((2, 32, 32, 1), np.float32))
    assert logits.shape == (2, 32, 32, 1)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


def test_there_is_a_gate_on_every_skip() -> None:
    network = attention_unet(64, 1, width=4, depth=5, dropout=0.0)
    assert sum(isinstance(layer, keras.layers.Multiply) for layer in network.layers) == 4


def test_the_gate_scales_each_place_of_the_skip_by_at_most_one() -> None:
    skip, gate = keras.Input((8, 8, 6)), keras.Input((4, 4, 12))
    model = keras.Model([skip, gate], attention_gate(skip, gate, filters=3))
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, (1, 8, 8, 6)).astype(np.float32)
    gated = ops.convert_to_numpy(model([values, rng.normal(size=(1, 4, 4, 12)).astype(np.float32)]))
    share = gated / values
    assert ((share > 0) & (share < 1)).all()
    # One weight for all channels of a place, and for the four places that share one of the gate.
    assert np.allclose(share, share[..., :1], atol=1e-5)
    assert np.allclose(share[:, ::2, ::2], share[:, 1::2, 1::2], atol=1e-5)
