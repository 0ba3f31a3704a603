"""The training of one network: from its first weights, or where it was stopped, to the best ones."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass

import keras

from breast_ultrasound.network import model_files
from breast_ultrasound.network.device import Device
from breast_ultrasound.network.unet import attention_unet
from breast_ultrasound.pipeline.tensorflow_start import held_stderr
from breast_ultrasound.training.batches import Batches, as_fitted
from breast_ultrasound.training.callbacks import FirstStep, Progress, Resume
from breast_ultrasound.training.checkpoint import CheckpointFile
from breast_ultrasound.training.devices import distribution
from breast_ultrasound.training.optimizer import optimizer
from breast_ultrasound.training.settings import TrainingSettings
from breast_ultrasound.training.trainer import Trainer


@dataclass(frozen=True)
class FoldBatches:
    """The batches of a fold that train, and those that validate, if any."""

    training: Batches
    validation: Batches | None


def build_trainer(size: int, settings: TrainingSettings, steps: int, precision: str) -> Trainer:
    """Build a network for images [size, size], ready to be fitted for a number of steps in all."""
    network = attention_unet(size, settings.network, settings.seed)
    if settings.network.weights:
        model_files.start_from(network, model_files.weights_file(settings.network.weights))
    trainer = Trainer(network, settings.augment, settings.train.class_weight, settings.seed)
    adam = optimizer(settings.train, steps, precision)
    adam.build(network.trainable_variables)
    # XLA slows the CPU down; JAX has nothing else.
    trainer.compile(adam, jit_compile=keras.backend.backend() == "jax")
    return trainer


def stop_early(patience: int) -> keras.callbacks.EarlyStopping:
    """Return what ends a training after `patience` epochs without a better lesion Dice, and keeps the best weights."""
    return keras.callbacks.EarlyStopping("val_lesion_dice", mode="max", patience=patience, restore_best_weights=True)


def fit(
    settings: TrainingSettings, batches: FoldBatches, hardware: Device, progress: Progress, unfinished: CheckpointFile
) -> keras.Model:
    """Train a network, or go on with an unfinished training.

    Return it with the averaged weights of the epoch that had the best validation lesion Dice, or where no images
    validate, of the last one.
    """
    train = settings.train
    # TensorFlow writes of oneDNN and of memory until the first step is done.
    with distribution(hardware), ExitStack() as start:
        start.enter_context(held_stderr())
        steps = train.epochs * len(batches.training)
        trainer = build_trainer(batches.training.size, settings, steps, hardware.precision)
        stopping = [stop_early(train.patience)] if batches.validation else []
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        resume = Resume(unfinished, progress, *stopping)
        trainer.fit(
            as_fitted(batches.training),
            initial_epoch=resume.first_epoch,
            epochs=train.epochs,
            validation_data=as_fitted(batches.validation) if batches.validation else None,
            # Keras would shuffle the order of the batches as well, by what was drawn before.
            shuffle=False,
            callbacks=[swap, *stopping, progress, FirstStep(start.close), resume],
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return trainer.network
