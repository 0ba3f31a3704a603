from typing import Any

import keras
import numpy as np
import pytest
from conftest import PARAMS
from keras import ops

from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training.losses import BceDice
from breast_ultrasound.training.settings import TrainingSettings
from breast_ultrasound.training.trainer import Trainer

RNG = np.random.default_rng(0)
BATCH = (
    RNG.integers(0, 255, (4, 8, 8, 1), np.uint8),
    RNG.integers(0, 2, (4, 8, 8, 1), np.uint8),
    np.ones((4, 8, 8, 1), np.uint8),
    np.array([0, 1, 2, 1]),
)


def trainer(outputs: tuple[str, ...] = (MASK_OUTPUT, CLASS_OUTPUT), class_weight: float = 0.5) -> Trainer:
    """A trainer of a network that takes brightness for lesion."""
    grey = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(grey)
    heads = {MASK_OUTPUT: x - 0.5, CLASS_OUTPUT: keras.layers.Dense(3, name=CLASS_OUTPUT)(x[:, 0, :3, 0])}
    network = keras.Model(grey, {name: heads[name] for name in outputs})
    made = Trainer(network, load(TrainingSettings, PARAMS).augment, class_weight, seed=1)
    made.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    return made


def test_the_loss_is_that_of_the_masks_and_the_weighted_cross_entropy_of_the_classes() -> None:
    made = trainer(class_weight=0.5)
    outputs: dict[str, Any]
    outputs, truth = made(BATCH)
    logits = ops.convert_to_numpy(outputs[CLASS_OUTPUT])
    cross_entropy = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[range(4), BATCH[3]])
    masks = float(BceDice()(truth[MASK_OUTPUT], outputs[MASK_OUTPUT]))
    assert float(made.compute_loss(y_pred=(outputs, truth))) == pytest.approx(masks + 0.5 * cross_entropy, rel=1e-5)


def test_the_classes_are_scored_beside_the_masks() -> None:
    made = trainer()
    predicted = ops.convert_to_numpy(made(BATCH)[0][CLASS_OUTPUT]).argmax(axis=1)
    scored = made.test_on_batch(BATCH, return_dict=True)
    assert set(scored) == {"loss", "lesion_dice", "class_accuracy"}
    assert float(scored["class_accuracy"]) == pytest.approx((predicted == BATCH[3]).mean())


def test_a_network_without_a_class_head_is_trained_by_its_masks_alone() -> None:
    made = trainer(outputs=(MASK_OUTPUT,))
    outputs, truth = made(BATCH)
    assert float(made.compute_loss(y_pred=(outputs, truth))) == pytest.approx(
        float(BceDice()(truth[MASK_OUTPUT], outputs[MASK_OUTPUT]))
    )
    assert set(made.test_on_batch(BATCH, return_dict=True)) == {"loss", "lesion_dice"}


def test_weights_weigh_loss_and_scores_alike_also_where_the_class_is_unspecified() -> None:
    made = trainer()
    batch = (*BATCH[:3], np.array([0, -1, 2, 1]))
    repeated = tuple(np.concatenate([part, part]) for part in batch)
    loss = float(made.compute_loss(y_pred=made(batch)))
    half = float(made.compute_loss(y_pred=made(repeated), sample_weight=np.full(8, 0.5, np.float32)))
    assert half == pytest.approx(loss / 2)
    first_alone = np.array([1, 0, 0, 0], np.float32)
    scored = made.compute_metrics(None, None, made(batch), sample_weight=first_alone)
    made.reset_metrics()
    expected = made.compute_metrics(None, None, made(tuple(part[:1] for part in batch)))
    for name in ("lesion_dice", "class_accuracy"):
        assert float(scored[name]) == pytest.approx(float(expected[name]))
