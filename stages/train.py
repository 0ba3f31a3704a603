"""Train the attention U-Net of one fold: `python -m stages.train --fold 0`.

Writes models/fold-0.keras, the moving average of the weights at the epoch of the best validation lesion Dice, and
data/histories/fold-0 with a curve for each figure and record.json: device, versions, images and number of weights.
Seconds and images per second, which differ from run to run, go to logs/train-fold-0.log. A training that is stopped,
however abruptly, goes on from the last finished epoch when it is run again, and ends with the same bytes. Several
processes that `breast_ultrasound/training/processes.py` joins train one network, and the first one writes.
"""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import yaml
from dvclive.live import Live
from pydantic import Field

from breast_ultrasound.cases.folds import FOLDS, read_fold, subsets
from breast_ultrasound.cases.prepared import PREPARED, Prepared
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.device import Device, Hardware
from breast_ultrasound.network.unet import Network, attention_unet
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import NotNegative, Positive, Section, Seed, Share, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.training.augment import Augment
from breast_ultrasound.training.batches import WHOLE, Batches, Shard, as_fitted
from breast_ultrasound.training.callbacks import Progress, Resume
from breast_ultrasound.training.checkpoint import CheckpointFile, training_key
from breast_ultrasound.training.history import RECORD, history
from breast_ultrasound.training.processes import Processes, joined
from breast_ultrasound.training.trainer import Trainer

PIPELINE = Path("dvc.yaml")
LOGS = Path("logs")


class Train(Section):
    """Training."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Positive
    warmup: Share
    weight_decay: NotNegative
    clip_norm: Positive
    ema: Share
    patience: Annotated[int, Field(ge=1)]
    class_weight: NotNegative


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    hardware: Hardware
    network: Network
    augment: Augment
    train: Train


def optimizer(train: Train, steps: int, precision: str) -> keras.optimizers.Optimizer:
    """AdamW with warm-up, cosine, clipping and a moving average of the weights, for a number of steps in all.

    In float16 the loss is scaled, so that small gradients don't vanish.
    """
    warmup = round(train.warmup * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else train.learning_rate,
        max(1, steps - warmup),
        warmup_target=train.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    adam = keras.optimizers.AdamW(
        rate, weight_decay=train.weight_decay, global_clipnorm=train.clip_norm, use_ema=True, ema_momentum=train.ema
    )
    adam.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return keras.optimizers.LossScaleOptimizer(adam) if precision == "float16" else adam


def distribution(hardware: Device) -> AbstractContextManager[Any]:
    """The scope in which to build and fit a model for all devices."""
    if hardware.count == 1:
        return nullcontext()
    if keras.backend.backend() == "jax":
        devices = keras.distribution.list_devices(hardware.kind)
        return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope()
    import tensorflow as tf  # noqa: PLC0415  the other backends run without it

    return tf.distribute.MirroredStrategy().scope()


def shard_of_batches(batch: int, hardware: Device, processes: Processes) -> Shard:
    """What this process computes of each batch; on TensorFlow all of it, which divides batches by itself.

    UserError where the devices cannot divide a batch.
    """
    if keras.backend.backend() != "jax":
        return WHOLE
    if batch % hardware.count:
        raise UserError(
            f"train.batch: {batch} must be a multiple of the number of devices, {hardware.count}, of which each takes "
            "as many images of a batch."
        )
    return Shard(hardware.count, processes.count, processes.own)


def fit(
    loaded: Params,
    training: Batches,
    validation: Batches,
    hardware: Device,
    progress: Progress,
    unfinished: CheckpointFile,
) -> keras.Model:
    """Train a network, or go on with an unfinished training.

    Its weights are the averaged ones of the epoch with the best validation lesion Dice.
    """
    train = loaded.train
    with distribution(hardware):
        network = attention_unet(training.size, loaded.network, loaded.seed)
        trainer = Trainer(network, loaded.augment, train.class_weight, loaded.seed)
        # XLA slows the CPU down; JAX has nothing else.
        jit = keras.backend.backend() == "jax"
        adam = optimizer(train, train.epochs * len(training), hardware.precision)
        adam.build(network.trainable_variables)
        trainer.compile(adam, jit_compile=jit)
        stopping = keras.callbacks.EarlyStopping(
            "val_lesion_dice", mode="max", patience=train.patience, restore_best_weights=True
        )
        resume = Resume(unfinished, stopping, progress)
        trainer.fit(
            as_fitted(training),
            initial_epoch=resume.first_epoch,
            epochs=train.epochs,
            validation_data=as_fitted(validation),
            # Keras would shuffle the order of the batches as well, by what was drawn before.
            shuffle=False,
            callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True), stopping, progress, resume],
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return network


def record(hardware: Device, network: keras.Model, images: dict[str, int]) -> dict[str, Any]:
    """What ran where on how many images."""
    return {
        "device": {"kind": hardware.kind, "name": hardware.name, "count": hardware.count},
        "precision": hardware.precision,
        "versions": device.versions(),
        "weights": network.count_params(),
        "images": images,
    }


def key_of(loaded: Params, hardware: Device) -> str:
    """What the training depends on by dvc.yaml, and what it runs on."""
    stage = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]["train"]
    values = [loaded.model_dump(), asdict(hardware), device.versions()]
    return training_key(values, [Path(name) for name in stage["deps"]])


def check_grid(size: int, network: Network) -> None:
    """Refuse a grid that the network cannot halve as often as it has levels."""
    if size % network.stride:
        raise UserError(
            f"prepare.size: {size} must be a multiple of the stride of the network's deepest level, {network.stride}: "
            "network.stem · 2^(network.depth - 1) without an encoder, 32 with one"
        )


def train_fold(fold: int, loaded: Params, processes: Processes) -> None:
    """Train one fold, as one of some processes."""
    hardware = device.configure(loaded.hardware, loaded.seed)
    key = key_of(loaded, hardware)
    processes.check_same(f"fold {fold}, {key}")
    prepared = Prepared.open(PREPARED)
    check_grid(prepared.size, loaded.network)
    subset = subsets(read_table(FOLDS)["fold"], fold)
    rows = {name: np.flatnonzero(subset == name) for name in ("train", "validation")}
    if not prepared.masks[rows["validation"]].any():
        raise UserError(f"fold {fold}: no lesion among its validation images. Lower split.folds or add images.")
    shard = shard_of_batches(loaded.train.batch, hardware, processes)
    training = Batches(prepared, rows["train"], loaded.train.batch, loaded.seed, shard)
    validation = Batches(prepared, rows["validation"], loaded.train.batch, shard=shard)
    unfinished = CheckpointFile(Path(f"models/fold-{fold}.checkpoint"), key, processes)
    if not processes.first:
        fit(loaded, training, validation, hardware, Progress(training, None, None), unfinished)
        return
    log = LOGS / f"train-fold-{fold}.log"
    log.parent.mkdir(exist_ok=True)
    with (
        written_aside(history(fold)) as folder,
        Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live,
    ):
        network = fit(loaded, training, validation, hardware, Progress(training, live, log), unfinished)
        counts = {name: len(members) for name, members in rows.items()}
        (folder / RECORD).write_text(json.dumps(record(hardware, network, counts), indent=2) + "\n")
    with written_aside(model_files.model_file(fold)) as aside:
        model_files.save(network, aside)
    unfinished.remove()


@command
def main() -> None:
    """Train one fold."""
    fold = read_fold(__doc__ or "")
    loaded = load(Params)
    with joined() as processes:
        train_fold(fold, loaded, processes)


if __name__ == "__main__":
    main()
