"""The prepared data set, which the stage `prepare` writes and later stages read."""

import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.pipeline.tables import read_table

PREPARED = Path("data/prepared")
IMAGES, MASKS, INDEX = "images.npy", "masks.npy", "index.csv"

_GEOMETRY = list(Letterbox.__dataclass_fields__)


@dataclass(frozen=True)
class Prepared:
    """Memory-mapped `images` and `masks`, uint8 [n, size, size], masks 0 or 1, and their `index`, a row an image."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    index: pd.DataFrame

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Open data/prepared without reading the arrays."""
        images, masks = (np.load(folder / name, mmap_mode="r") for name in (IMAGES, MASKS))
        return cls(images, masks, read_index(folder))

    def read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return copies of the images and of the masks of some rows, uint8 [n, size, size].

        No page of the arrays stays in the memory of the process, however many rows are read in turn.
        """
        for array in (self.images, self.masks):
            _prefetch(array, rows)
        copies = self.images[rows], self.masks[rows]
        for array in (self.images, self.masks):
            _release(array)
        return copies

    def content(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return 1 where the images of some rows lie on the grid, 0 where they are padded: uint8 [n, size, size]."""
        planes = np.zeros((len(rows), self.size, self.size), np.uint8)
        for plane, box in zip(planes, letterboxes(self.index.iloc[rows]), strict=True):
            box.content(plane)[...] = 1
        return planes

    @property
    def classes(self) -> NDArray[np.int64]:
        """Return the class of each image as its index in CLASSES, int64 [n]; -1 where it is unspecified."""
        return pd.Index(CLASSES).get_indexer(pd.Index(self.index["class"]))

    @property
    def size(self) -> int:
        """Return the side of the square grid in pixels."""
        return self.images.shape[1]


def _prefetch(array: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    # Otherwise the system reads ahead: with each row it fetches up to megabytes around it.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
        for row in rows:
            start = array.offset % mmap.ALLOCATIONGRANULARITY + int(row) * array.strides[0]
            page = start - start % mmap.PAGESIZE
            array.base.madvise(mmap.MADV_WILLNEED, page, start + array.strides[0] - page)


def _release(array: NDArray[np.uint8]) -> None:
    # Pages of a file that were read count as memory of the process until another process needs them.
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)


def read_index(folder: Path) -> pd.DataFrame:
    """Return the table of ids, classes and letterbox geometries alone."""
    return read_table(folder / INDEX)


def letterboxes(index: pd.DataFrame) -> list[Letterbox]:
    """Return the letterbox of each row of an index."""
    return [Letterbox(*row) for row in index[_GEOMETRY].itertuples(index=False)]
