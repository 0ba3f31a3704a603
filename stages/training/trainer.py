"""What is trained: a network with the augmentation in front of it, its loss and its score."""

from typing import Any

import keras
import numpy as np
from keras import ops

from stages.training.augment import Augment, augment
from stages.training.losses import BceDice, LesionDice


class Trainer(keras.Model):
    """A network with the augmentation in front of it; its input is a batch of `Batches`."""

    def __init__(self, network: keras.Model, limits: Augment, seed: int) -> None:
        # The network's layers choose their own precision; augmentation needs that of the input.
        super().__init__(dtype="float32")
        self.network = network
        self._limits = limits
        self._seed = seed
        self._augmentation = keras.random.SeedGenerator(seed)
        self._loss = BceDice()
        self._dice = LesionDice(name="lesion_dice")

    def call(self, batch: tuple[Any, Any, Any], training: bool = False) -> tuple[Any, Any]:
        """The logits, and the masks that they should have, both float32 [batch, size, size, 1]."""
        images, masks, content = (ops.cast(part, "float32") for part in batch)
        if training:
            images, masks = augment(images, masks, content, self._limits, self._augmentation)
        return self.network(images, training=training), masks

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        """The mean loss of a batch."""
        logits, masks = y_pred
        return self._loss(masks, logits)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Loss and lesion Dice so far in this epoch."""
        logits, masks = y_pred
        self._dice.update_state(masks, logits)
        return self.get_metrics_result()

    def start_epoch(self, epoch: int) -> None:
        """Key the random changes of an epoch, dropout included, by its number, whatever came before."""
        dropout = getattr(self.network.get_layer("dropout"), "seed_generator", None)
        for stream, generator in enumerate(filter(None, (self._augmentation, dropout))):
            key = np.random.SeedSequence((self._seed, epoch, stream)).generate_state(2) >> 1
            generator.state.assign(key.astype(generator.state.dtype))
