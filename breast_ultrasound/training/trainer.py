"""The model that is fitted: a network with the augmentation in front of it, its loss and its scores."""

from typing import Any

import keras
import numpy as np
from keras import ops

from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT
from breast_ultrasound.training.augment import Augment, augment
from breast_ultrasound.training.losses import BceDice, LesionDice


class Trainer(keras.Model):
    """A network with the augmentation in front of it.

    Its input is a batch of `Batches`.
    """

    def __init__(self, network: keras.Model, limits: Augment, class_weight: float, seed: int) -> None:
        # The network's layers choose their own precision; augmentation needs that of the input.
        super().__init__(dtype="float32")
        self.network = network
        self._limits, self._class_weight = limits, class_weight
        self._seed = seed
        self._augmentation = keras.random.SeedGenerator(seed)
        self._objectives = {
            MASK_OUTPUT: BceDice(),
            CLASS_OUTPUT: keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
        }
        scores = {
            MASK_OUTPUT: LesionDice(name="lesion_dice"),
            CLASS_OUTPUT: keras.metrics.SparseCategoricalAccuracy(name="class_accuracy"),
        }
        self._scores = {name: scores[name] for name in network.output}

    def call(self, batch: tuple[Any, Any, Any, Any], training: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the network's outputs and the truth: masks float32 [batch, size, size, 1], and classes [batch]."""
        *planes, classes = batch
        images, masks, content = (ops.cast(part, "float32") for part in planes)
        if training:
            images, masks = augment(images, masks, content, self._limits, self._augmentation)
        return self.network(images, training=training), {MASK_OUTPUT: masks, CLASS_OUTPUT: classes}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        """Return the mean loss of a batch: that of the masks, and the weighted cross-entropy of the classes.

        `sample_weight` [batch] weighs the images, or is None.
        """
        outputs, truth = y_pred
        losses = {
            name: self._objectives[name](truth[name], output, sample_weight=sample_weight)
            for name, output in outputs.items()
        }
        return losses[MASK_OUTPUT] + self._class_weight * losses.get(CLASS_OUTPUT, 0.0)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return loss, lesion Dice and, with a class head, accuracy of the classes so far in this epoch."""
        outputs, truth = y_pred
        has_class = ops.cast(truth[CLASS_OUTPUT] >= 0, "float32")
        weights = {
            MASK_OUTPUT: sample_weight,
            CLASS_OUTPUT: has_class if sample_weight is None else has_class * sample_weight,
        }
        for name, score in self._scores.items():
            score.update_state(truth[name], outputs[name], sample_weight=weights[name])
        return self.get_metrics_result()

    def start_epoch(self, epoch: int) -> None:
        """Key the random changes of an epoch, dropout included, by its number, whatever came before."""
        dropouts = (layer for layer in self.network.layers if isinstance(layer, keras.layers.Dropout) and layer.rate)
        for stream, generator in enumerate((self._augmentation, *(layer.seed_generator for layer in dropouts))):
            key = np.random.SeedSequence((self._seed, epoch, stream)).generate_state(2) >> 1
            generator.state.assign(key.astype(generator.state.dtype))
