import keras
import numpy as np
import pytest
from keras import ops

from breast_ultrasound.network.layers import BatchNormalization, attention_gate

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, 2, (4, 6, 6, 5)).astype(np.float32)
WEIGHTS = [RNG.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4)]


def pair(momentum: float = 0.9) -> tuple[BatchNormalization, keras.layers.BatchNormalization]:
    """Our layer and Keras' own with the same weights."""
    both = BatchNormalization(momentum=momentum), keras.layers.BatchNormalization(momentum=momentum)
    for layer in both:
        layer.build(FEATURES.shape)
        layer.set_weights(WEIGHTS)
    return both


def close(ours: object, theirs: object, tolerance: float = 1e-5) -> bool:
    return np.allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), atol=tolerance)


@pytest.mark.parametrize("training", [True, False])
def test_normalisation_gives_what_keras_gives_and_moves_the_same_statistics(training: bool) -> None:
    ours, theirs = pair()
    for _ in range(3):
        assert close(ours(FEATURES, training=training), theirs(FEATURES, training=training))
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]
    assert all(close(a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True))
    assert close(ours.moving_mean, WEIGHTS[2]) == (not training)


def test_the_moving_statistics_are_those_of_the_last_few_batches() -> None:
    layer = BatchNormalization()
    for _ in range(30):
        layer(FEATURES, training=True)
    assert close(layer.moving_mean, FEATURES.mean(axis=(0, 1, 2)), 0.2)
    assert close(layer.moving_variance, FEATURES.var(axis=(0, 1, 2)), 0.2)


def test_normalisation_of_a_single_value_a_channel_is_that_of_keras() -> None:
    ours, theirs = pair()
    single = FEATURES[:1, :1, :1]
    assert close(ours(single, training=True), theirs(single, training=True))
    assert close(ours.moving_variance, theirs.moving_variance)


def test_a_frozen_normalisation_uses_its_moving_statistics_in_training() -> None:
    ours, _ = pair()
    ours.trainable = False
    assert close(ours(FEATURES, training=True), ours(FEATURES, training=False))
    assert close(ours.moving_mean, WEIGHTS[2])


@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_of_the_normalisation_are_those_of_keras(training: bool) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the other backends use the layer of Keras")
    import tensorflow as tf  # noqa: PLC0415

    slopes = []
    target = RNG.normal(size=FEATURES.shape).astype(np.float32)
    for layer in pair():
        features = tf.constant(FEATURES)
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(layer(features, training=training) * target)
        slopes.append(tape.gradient(loss, [features, *(variable.value for variable in layer.trainable_variables)]))
    assert all(close(a, b, 1e-3) for a, b in zip(*slopes, strict=True))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_normalisation_in_half_precision_keeps_its_statistics_in_float32(precision: str) -> None:
    ours, theirs = (layer.__class__.from_config({**layer.get_config(), "dtype": precision}) for layer in pair())
    outputs = [layer(ops.cast(FEATURES, layer.compute_dtype), training=True) for layer in (ours, theirs)]
    assert keras.backend.standardize_dtype(outputs[0].dtype) == ours.compute_dtype
    assert close(ops.cast(outputs[0], "float32"), ops.cast(outputs[1], "float32"), 0.05)
    assert ours.moving_variance.dtype == "float32"
    assert close(ours.moving_variance, theirs.moving_variance, 1e-3)


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
