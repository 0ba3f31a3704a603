"""The loss that a training minimises and the score that stops it, on the square grid."""

from typing import Any

import keras
from keras import ops


class BceDice(keras.losses.Loss):
    """Binary cross-entropy, the mean over pixels, plus soft Dice loss; each image has the same weight.

    Soft Dice as in Milletari et al., V-Net (arXiv:1606.04797), smoothed by one pixel. On an image without a lesion it
    is P / (P + 1), where P is the sum of all probabilities: near 1, and nearly flat, until P falls to a few pixels. So
    the cross-entropy alone teaches such images.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image [batch], from masks 0/1 and logits, both [batch, height, width, 1]."""
        masks, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        # The stable form of -m·log(p) - (1 - m)·log(1 - p).
        cross_entropy = ops.mean(ops.softplus(logits) - masks * logits, axis=(1, 2, 3))
        probabilities = ops.sigmoid(logits)
        overlap = ops.sum(masks * probabilities, axis=(1, 2, 3))
        total = ops.sum(masks + probabilities, axis=(1, 2, 3))
        return cross_entropy + 1 - (2 * overlap + 1) / (total + 1)


class LesionDice(keras.metrics.Mean):
    """Mean Dice of the images whose mask is not empty, at a probability of one half."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add masks 0/1 and logits, both [batch, height, width, 1]; `sample_weight` [batch] weighs the images."""
        masks, predicted = ops.cast(y_true, "float32"), ops.cast(y_pred > 0, "float32")
        area = ops.sum(masks, axis=(1, 2, 3))
        total = area + ops.sum(predicted, axis=(1, 2, 3))
        dice = 2 * ops.sum(masks * predicted, axis=(1, 2, 3)) / ops.maximum(total, 1)
        lesion = ops.cast(area > 0, "float32")
        super().update_state(dice, sample_weight=lesion if sample_weight is None else lesion * sample_weight)
