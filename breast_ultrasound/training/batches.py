"""The batches of a training, read from memory-mapped arrays, so that memory doesn't grow with the number of images."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.prepared import Prepared


@dataclass(frozen=True)
class Shard:
    """The part of each batch that process number `own` of some `processes` computes, on its part of all `devices`.

    Each process has as many devices, and each device computes as many images.
    """

    devices: int = 1
    processes: int = 1
    own: int = 0


WHOLE = Shard()


class Batches(keras.utils.PyDataset):
    """Some rows of the prepared data, batch by batch: images, masks and where the images lie, all uint8
    [batch, size, size, 1], and classes, int64 [batch].

    With a `seed` the rows come in another order each epoch, fixed by the seed and the number of the epoch, and the
    last, smaller batch is left out where there is a full one. Without a seed all rows come in the order given.

    Each of several devices takes as many images of a batch. A last batch that they cannot divide is repeated until they
    can, and weights, float32 [batch], make each image of the epoch count once.

    While a batch is computed, the next one is read. TensorFlow reads nothing ahead where it is to be deterministic, and
    the workers of Keras keep what they read of an epoch that broke off for the next one, which has another order.
    """

    def __init__(
        self,
        prepared: Prepared,
        rows: NDArray[np.int64],
        batch: int,
        seed: int | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        super().__init__()
        self._prepared, self._rows, self._batch, self._seed, self._shard = prepared, rows, batch, seed, shard
        self._classes = prepared.classes
        self._order = rows
        self._reader = ThreadPoolExecutor(1, "batches")
        self._ahead: dict[int, Future[tuple[Any, ...]]] = {}

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        full = len(self._rows) // self._batch
        return full if self._seed is not None and full else math.ceil(len(self._rows) / self._batch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return this process's part of batch `index` of the epoch, as the only input of a model.

        With several devices, None, which stands for targets, and the weights follow.
        """
        batch = self._ahead.get(index) or self._reader.submit(self._part, index)
        following = index + 1
        self._ahead = {following: self._reader.submit(self._part, following)} if following < len(self) else {}
        return batch.result()

    def _part(self, index: int) -> tuple[Any, ...]:
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        if self._shard.devices == 1:
            return (self._read(rows),)
        copies = self._copies(len(rows))
        own = np.tile(rows, copies).reshape(self._shard.processes, -1)[self._shard.own]
        return self._read(own), None, np.full(len(own), self._mean_copies / copies, np.float32)

    def _read(self, rows: NDArray[np.int64]) -> tuple[Any, Any, Any, Any]:
        parts = (*self._prepared.read(rows), self._prepared.content(rows))
        images, masks, content = (part[..., None] for part in parts)
        return images, masks, content, self._classes[rows]

    def _copies(self, images: int) -> int:
        """Return how often a batch of some images is repeated, so that the devices can divide it."""
        return self._shard.devices // math.gcd(images, self._shard.devices)

    @property
    def _mean_copies(self) -> float:
        """Return how often an image of the epoch comes on average, which makes the mean of the weights one."""
        images = self.images_per_epoch
        last = images - (len(self) - 1) * self._batch
        return (images - last + last * self._copies(last)) / images

    @property
    def size(self) -> int:
        """Return the side of the square images in pixels."""
        return self._prepared.size

    @property
    def images_per_epoch(self) -> int:
        """Return the number of images of an epoch."""
        return min(len(self) * self._batch, len(self._rows))

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(self._rows)
            self._ahead = {}


def as_fitted(batches: Batches) -> Any:
    """Return what Keras' `fit` takes: on TensorFlow a dataset that nothing tunes, elsewhere the batches as they are.

    Keras would make a dataset of them with a thread that tunes it and sleeps between, twice as long each time, up to a
    minute. An epoch that ends while it sleeps may wait for it, and take twice its time.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf  # noqa: PLC0415  the other backends run without it

    plane = tf.TensorSpec((None, batches.size, batches.size, 1), tf.uint8)
    signature = ((plane, plane, plane, tf.TensorSpec((None,), tf.int64)),)
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))), output_signature=signature
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).with_options(options)
