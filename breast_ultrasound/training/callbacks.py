"""The callbacks of a training: they key the random streams of an epoch, draw its curves and keep its state."""

import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from dvclive.live import Live
from keras import ops

from breast_ultrasound.training.batches import Batches
from breast_ultrasound.training.checkpoint import Checkpoint, CheckpointFile


class FirstStep(keras.callbacks.Callback):
    """Call a function when the first step of a training is done; later calls must do no harm."""

    # Keras then need not wait for the figures of each step.
    async_safe = True

    def __init__(self, done: Callable[[], None]) -> None:
        super().__init__()
        self._done = done

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Call the function."""
        self._done()


class Progress(keras.callbacks.Callback):
    """Key each epoch, validate and save the same; with `live` and `log`, draw curves and log the speed as well."""

    def __init__(self, batches: Batches, live: Live | None = None, log: Path | None = None) -> None:
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

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Validate with the statistics that are saved."""
        self._share_statistics()

    def _share_statistics(self) -> None:
        """Give every device the statistics of the first one."""
        for variable in self.model.network.non_trainable_variables:
            variable.assign(ops.convert_to_numpy(variable))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw the figures of the epoch, and add a line to the log."""
        seconds = time.perf_counter() - self._started
        self._seconds.append(seconds)
        self.draw(logs or {})
        if not self._log:
            return
        with self._log.open("a" if epoch else "w") as file:
            rate = self._batches.images_per_epoch / seconds
            print(f"epoch {epoch + 1}: {seconds:.2f} s, {rate:.1f} images/s", file=file)

    def draw(self, logs: dict[str, float]) -> None:
        """Add a point to each curve."""
        self.logs.append(logs)
        if not self._live:
            return
        for name, value in logs.items():
            self._live.log_metric(name, value)
        self._live.next_step()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Share what is saved, and print how long it took, validation included."""
        self._share_statistics()
        rate = self._batches.images_per_epoch / float(np.median(self._seconds))
        print(f"{len(self._seconds)} epochs in {sum(self._seconds):.0f} s, median {rate:.1f} images/s")


class Resume(keras.callbacks.Callback):
    """Begin with the checkpoint in `file` if there is one, and keep one of the start of each epoch there.

    `stopping` is there where images validate. It comes before this callback, and so do all others, since this one keeps
    the state that they leave.
    """

    def __init__(
        self, file: CheckpointFile, progress: Progress, stopping: keras.callbacks.EarlyStopping | None = None
    ) -> None:
        super().__init__()
        self._file, self._progress, self._stopping = file, progress, stopping
        self._checkpoint = file.load()

    @property
    def first_epoch(self) -> int:
        """Return the epoch to begin with, counted from 0."""
        return len(self._checkpoint.logs) if self._checkpoint else 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Go back to the state of the checkpoint."""
        if not self._checkpoint:
            return
        print(f"{self._file.path}: going on after {self.first_epoch} epochs.")
        for variable, value in zip(self._variables(), self._checkpoint.variables, strict=True):
            variable.assign(value)
        if self._stopping:
            for name, value in self._checkpoint.stopping.items():
                setattr(self._stopping, name, value)
            self._stopping.best_weights = self._checkpoint.best_weights
        for past in self._checkpoint.logs:
            self._progress.draw(past)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the state."""
        if epoch > self.first_epoch:
            variables = [ops.convert_to_numpy(variable) for variable in self._variables()]
            best, stopping = [], {}
            if self._stopping:
                best = self._stopping.best_weights
                stopping = {name: getattr(self._stopping, name) for name in ("wait", "best", "best_epoch")}
            self._file.save(Checkpoint(variables, best, stopping, self._progress.logs))

    def _variables(self) -> list[keras.Variable]:
        return self.model.network.variables + self.model.optimizer.variables
