"""Batches read from memory-mapped arrays, so that memory doesn't grow with the number of images."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from stages.cases.prepared import Prepared


class Batches(keras.utils.PyDataset):
    """What a training step takes of some rows of the prepared data: images, masks and where the images lie, all uint8
    [batch, size, size, 1], and classes, int64 [batch].

    With a `seed` the rows come in another order each epoch, fixed by the seed and the number of the epoch, and the
    last, smaller batch is left out where there is a full one; without, all of them come in the order given.
    """

    def __init__(self, prepared: Prepared, rows: NDArray[np.int64], batch: int, seed: int | None = None) -> None:
        super().__init__()
        self._prepared, self._rows, self._batch, self._seed = prepared, rows, batch, seed
        self._classes = prepared.classes
        self._order = rows

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        full = len(self._rows) // self._batch
        return full if self._seed is not None and full else math.ceil(len(self._rows) / self._batch)

    def __getitem__(self, index: int) -> tuple[tuple[Any, Any, Any, Any]]:
        """Batch `index` of the epoch, as the only input of a model."""
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        parts = (self._prepared.images[rows], self._prepared.masks[rows], self._prepared.content(rows))
        images, masks, content = (part[..., None] for part in parts)
        return ((images, masks, content, self._classes[rows]),)

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._prepared.size

    @property
    def images_per_epoch(self) -> int:
        """The number of images that an epoch shows."""
        return min(len(self) * self._batch, len(self._rows))

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(self._rows)
