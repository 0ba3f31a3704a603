import numpy as np
import pytest
from keras import ops
from sklearn.metrics import f1_score, log_loss

from breast_ultrasound.training.losses import BceDice, LesionDice


def batch(*images: np.ndarray) -> np.ndarray:
    return np.stack(images)[..., None].astype(np.float32)


def test_the_loss_is_cross_entropy_plus_soft_dice() -> None:
    rng = np.random.default_rng(0)
    mask, logits = rng.integers(0, 2, (6, 6)), rng.normal(size=(6, 6))
    probability = 1 / (1 + np.exp(-logits))
    dice = (2 * (mask * probability).sum() + 1) / (mask.sum() + probability.sum() + 1)
    expected = log_loss(mask.ravel(), probability.ravel()) + 1 - dice
    assert float(BceDice()(batch(mask), batch(logits))) == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_a_certain_and_right_answer_is_zero_also_without_a_lesion() -> None:
    lesion, none = np.pad(np.ones((2, 2)), 2), np.zeros((6, 6))
    for mask in (lesion, none):
        assert float(BceDice()(batch(mask), batch(60 * (mask - 0.5)))) == pytest.approx(0, abs=1e-4)


def test_extreme_logits_give_a_finite_loss() -> None:
    mask = np.eye(4)
    assert np.isfinite(float(BceDice()(batch(mask), batch(1e4 * (0.5 - mask)))))


def test_lesion_dice_is_the_mean_over_images_that_have_a_lesion() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 2, (6, 6)), rng.integers(0, 2, (6, 6)), np.zeros((6, 6), int)]
    predicted = [rng.integers(0, 2, (6, 6)) for _ in masks]
    metric = LesionDice()
    for part in (slice(0, 1), slice(1, 3)):
        metric.update_state(batch(*masks[part]), batch(*predicted[part]) - 0.5)
    expected = np.mean([f1_score(m.ravel(), p.ravel()) for m, p in zip(masks[:2], predicted[:2], strict=True)])
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(expected, rel=1e-5)
