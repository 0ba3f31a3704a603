"""Train the attention U-Net of one fold: `python -m stages.train --fold 0`.

Writes models/fold-0.keras, the moving average of the weights at the epoch of the best validation lesion Dice, and
metrics/train/fold-0 with a curve for each figure and record.json: device, versions, images and number of weights.
Seconds and images per second, which differ from run to run, go to logs/train-fold-0.log. A training that is stopped,
however abruptly, goes on from the last finished epoch when it is run again, and ends with the same bytes.
"""

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import yaml
from dvclive.live import Live
from keras import ops

from stages.common import checkpoint, device, model_files, params, paths
from stages.common.augment import augment
from stages.common.batches import Batches
from stages.common.checkpoint import Checkpoint, training_key
from stages.common.device import Device
from stages.common.errors import UserError, command
from stages.common.files import written_aside
from stages.common.folds import read_fold, subsets
from stages.common.losses import BceDice, LesionDice
from stages.common.network import attention_unet
from stages.common.params import Augment, Params, Train
from stages.common.prepared import Prepared


class Trainer(keras.Model):
    """A network with the augmentation in front of it; its input is a batch of images and masks, both uint8."""

    def __init__(self, network: keras.Model, limits: Augment, seed: int) -> None:
        # The network's layers choose their own precision; augmentation needs that of the input.
        super().__init__(dtype="float32")
        self.network = network
        self._limits = limits
        self._seed = seed
        self._augmentation = keras.random.SeedGenerator(seed)
        self._loss = BceDice()
        self._dice = LesionDice(name="lesion_dice")

    def call(self, batch: tuple[Any, Any], training: bool = False) -> tuple[Any, Any]:
        """The logits, and the masks that they should have, both float32 [batch, size, size, 1]."""
        images, masks = (ops.cast(part, "float32") for part in batch)
        if training:
            images, masks = augment(images, masks, self._limits, self._augmentation)
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


class Progress(keras.callbacks.Callback):
    """Key each epoch, draw its curves and log its speed."""

    def __init__(self, batches: Batches, live: Live, log: Path) -> None:
        super().__init__()
        self._batches, self._live, self._log = batches, live, log
        self._started = 0.0
        self._seconds: list[float] = []
        self.logs: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw the order of the images and the key of the augmentation."""
        self._batches.start_epoch(epoch)
        self.model.start_epoch(epoch)
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw the figures of the epoch, and add a line to the log."""
        seconds = time.perf_counter() - self._started
        self._seconds.append(seconds)
        self.draw(logs or {})
        with self._log.open("a" if epoch else "w") as file:
            rate = self._batches.images_per_epoch / seconds
            print(f"epoch {epoch + 1}: {seconds:.2f} s, {rate:.1f} images/s with validation", file=file)

    def draw(self, logs: dict[str, float]) -> None:
        """Add a point to each curve."""
        self.logs.append(logs)
        for name, value in logs.items():
            self._live.log_metric(name, value)
        self._live.next_step()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Tell how long it took."""
        rate = self._batches.images_per_epoch / float(np.median(self._seconds))
        print(f"{len(self._seconds)} epochs in {sum(self._seconds):.0f} s, median {rate:.1f} images/s with validation")


class Resume(keras.callbacks.Callback):
    """Begin with the checkpoint at `path` if there is one, and keep one of the start of each epoch there.

    Comes last of the callbacks, since it holds the state that the others leave.
    """

    def __init__(self, path: Path, key: str, stopping: keras.callbacks.EarlyStopping, progress: Progress) -> None:
        super().__init__()
        self._path, self._key, self._stopping, self._progress = path, key, stopping, progress
        self._found = checkpoint.load(path, key)

    @property
    def first_epoch(self) -> int:
        """The epoch to begin with, counted from 0."""
        return len(self._found.logs) if self._found else 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Go back to the state of the checkpoint."""
        if not self._found:
            return
        print(f"{self._path}: going on after {self.first_epoch} epochs.")
        for variable, value in zip(self._variables(), self._found.variables, strict=True):
            variable.assign(value)
        for name, value in self._found.stopping.items():
            setattr(self._stopping, name, value)
        self._stopping.best_weights = self._found.best_weights
        for past in self._found.logs:
            self._progress.draw(past)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the state."""
        if epoch > self.first_epoch:
            variables = [ops.convert_to_numpy(variable) for variable in self._variables()]
            stopping = {name: getattr(self._stopping, name) for name in ("wait", "best", "best_epoch")}
            state = Checkpoint(variables, self._stopping.best_weights, stopping, self._progress.logs)
            checkpoint.save(state, self._path, self._key)

    def _variables(self) -> list[keras.Variable]:
        return self.model.network.variables + self.model.optimizer.variables


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
    """The scope in which to build a model for all GPUs of this machine."""
    if hardware.count == 1:
        return nullcontext()
    import tensorflow as tf  # noqa: PLC0415  the other backends run without it

    return tf.distribute.MirroredStrategy().scope()


def fit(
    loaded: Params,
    training: Batches,
    validation: Batches,
    hardware: Device,
    live: Live,
    log: Path,
    kept: Path,
    key: str,
) -> keras.Model:
    """Train a network; its weights are the averaged ones of the epoch with the best validation lesion Dice.

    An unfinished training that `key` names goes on from its checkpoint at `kept`.
    """
    train = loaded.train
    with distribution(hardware):
        network = attention_unet(training.size, **loaded.network.model_dump(), seed=loaded.seed)
        trainer = Trainer(network, loaded.augment, loaded.seed)
        # XLA slows the CPU down; JAX has nothing else.
        jit = keras.backend.backend() == "jax"
        adam = optimizer(train, train.epochs * len(training), hardware.precision)
        adam.build(network.trainable_variables)
        trainer.compile(adam, jit_compile=jit)
    stopping = keras.callbacks.EarlyStopping(
        "val_lesion_dice", mode="max", patience=train.patience, restore_best_weights=True
    )
    progress = Progress(training, live, log)
    resume = Resume(kept, key, stopping, progress)
    trainer.fit(
        training,
        initial_epoch=resume.first_epoch,
        epochs=train.epochs,
        validation_data=validation,
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
    stage = yaml.safe_load(paths.PIPELINE.read_text(encoding="utf-8"))["stages"]["train"]
    values = [loaded.model_dump(include=set(stage["params"])), asdict(hardware), device.versions()]
    return training_key(values, [Path(name) for name in stage["deps"]])


@command
def main() -> None:
    """Train one fold."""
    fold = read_fold(__doc__ or "")
    loaded = params.load()
    hardware = device.configure(loaded.train.device, loaded.train.precision, loaded.seed)
    prepared = Prepared.open(paths.PREPARED)
    subset = subsets(pd.read_csv(paths.FOLDS)["fold"], fold)
    rows = {name: np.flatnonzero(subset == name) for name in ("train", "validation")}
    if not prepared.masks[rows["validation"]].any():
        raise UserError(f"fold {fold}: no lesion among its validation images. Lower split.folds or add images.")
    training = Batches(prepared, rows["train"], loaded.train.batch, seed=loaded.seed)
    validation = Batches(prepared, rows["validation"], loaded.train.batch)
    log = paths.LOGS / f"train-fold-{fold}.log"
    log.parent.mkdir(exist_ok=True)
    kept = paths.checkpoint(fold)
    with (
        written_aside(paths.history(fold)) as folder,
        Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live,
    ):
        network = fit(loaded, training, validation, hardware, live, log, kept, key_of(loaded, hardware))
        counts = {name: len(members) for name, members in rows.items()}
        (folder / "record.json").write_text(json.dumps(record(hardware, network, counts), indent=2) + "\n")
    with written_aside(paths.model(fold)) as aside:
        model_files.save(network, aside)
    kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
