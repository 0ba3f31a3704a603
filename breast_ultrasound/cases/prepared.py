"""The prepared data set, as the stage `prepare` writes it and the later ones read it."""

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
        """Copies of the images and of the masks of some rows, uint8 [n, size, size].

        Nothing of the arrays stays in this process's memory, however many rows are read one after another.
        """
        for array in (self.images, self.masks):
            _announce(array, rows)
        copies = self.images[rows], self.masks[rows]
        for array in (self.images, self.masks):
            _give_back(array)
        return copies

    def content(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Where on the grid the images of some rows lie, 1, and where they are padded, 0: uint8 [n, size, size]."""
        planes = np.zeros((len(rows), self.size, self.size), np.uint8)
        for plane, box in zip(planes, letterboxes(self.index.iloc[rows]), strict=True):
            box.content(plane)[...] = 1
        return planes

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each image, as its place in CLASSES; -1 where benign or malignant is not told."""
        return pd.Index(CLASSES).get_indexer(pd.Index(self.index["class"]))

    @property
    def size(self) -> int:
        """Side of the square grid in pixels."""
        return self.images.shape[1]


def _announce(array: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    # Else the system fetches row after row, and with each what surrounds it on the disk, up to megabytes.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
        for row in rows:
            start = array.offset % mmap.ALLOCATIONGRANULARITY + int(row) * array.strides[0]
            page = start - start % mmap.PAGESIZE
            array.base.madvise(mmap.MADV_WILLNEED, page, start + array.strides[0] - page)


def _give_back(array: NDArray[np.uint8]) -> None:
    # Pages that were read of a file count as the process's own until the system needs them for others.
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)


def read_index(folder: Path) -> pd.DataFrame:
    """The table of ids, classes and letterbox geometries alone."""
    return read_table(folder / INDEX)


def letterboxes(index: pd.DataFrame) -> list[Letterbox]:
    """The letterbox of each row of an index."""
    return [Letterbox(*row) for row in index[_GEOMETRY].itertuples(index=False)]
