"""Keep what is compared of many images in files, so that memory holds no more of it than is in use.

The files are read and written piece by piece: a memory map that is written to on a full disk would end the process, and
its pages count as memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from breast_ultrasound.auditing.features import DESCRIPTOR, SIDE, Features
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.files import append


class Rows:
    """Rows of numbers in a file, a matrix [n, width]: added at its end, and read from anywhere by any thread."""

    def __init__(self, file: Path, dtype: DTypeLike, width: int) -> None:
        self._file, self._dtype, self._width = file, np.dtype(dtype), width
        self.clear()

    def __len__(self) -> int:
        return self._count

    def clear(self) -> None:
        """Remove all rows."""
        self._file.write_bytes(b"")
        self._count = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Add some rows [k, width]; UserError where the disk is full."""
        append(self._file, np.ascontiguousarray(rows, self._dtype).tobytes())
        self._count += len(rows)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` to before `stop`, or to the last one."""
        skipped = start * self._width * self._dtype.itemsize
        values = np.fromfile(self._file, self._dtype, (stop - start) * self._width, offset=skipped)
        return values.reshape(-1, self._width)


class Buckets:
    """Rows int64 [n, width], spread over files by the remainder of their first number by the count of these.

    Rows with the same first number are together, and a file is small enough to be sorted in memory.
    """

    def __init__(self, folder: Path, name: str, width: int, parts: int) -> None:
        self._parts = [Rows(folder / f"{name}-{part}", np.int64, width) for part in range(parts)]

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, rows: NDArray[np.int64]) -> None:
        """Add some rows [k, width]; those of a file stay in the order in which they are added."""
        # Numbers of no more than 16 bits are sorted by counting them.
        places = (rows[:, 0] % len(self._parts)).astype(np.min_scalar_type(len(self._parts)))
        order, counts = np.argsort(places, kind="stable"), np.bincount(places, minlength=len(self._parts))
        for part, chosen in zip(self._parts, np.split(order, np.cumsum(counts)[:-1]), strict=True):
            part.add(rows[chosen])

    def take(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of one file after the other, and empty it."""
        for part in self._parts:
            rows = part.read(0, len(part))
            part.clear()
            yield rows


class Album:
    """The thumbnails and the features of images, by position, in files of a folder.

    Pickled for another process, it is the paths of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._thumbnails = Rows(folder / "thumbnails", np.uint8, SIDE * SIDE)
        self._points = Rows(folder / "points", np.float32, 2)
        self.descriptors = Rows(folder / "descriptors", np.uint8, DESCRIPTOR)
        # Where the keypoints of each image start, and those of the last one end.
        self._starts = Rows(folder / "starts", np.int64, 1)
        self._starts.add(np.zeros((1, 1)))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, thumbnail: Grey, features: Features) -> None:
        """Add the thumbnail [SIDE, SIDE] and the features of the next image."""
        self._thumbnails.add(thumbnail.reshape(1, -1))
        self._points.add(features.points)
        self.descriptors.add(features.descriptors)
        self._starts.add(np.full((1, 1), len(self.descriptors)))

    def thumbnail(self, position: int) -> Grey:
        """Return the thumbnail [SIDE, SIDE] of an image."""
        return self._thumbnails.read(position, position + 1).reshape(SIDE, SIDE)

    def features(self, position: int) -> Features:
        """Return the features of an image."""
        start, stop = self._starts.read(position, position + 2).ravel().tolist()
        return Features(self._points.read(start, stop), self.descriptors.read(start, stop))

    def owners(self, descriptors: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of the image that each descriptor, given by its own position, belongs to."""
        ends = self._starts.read(1, len(self._starts)).ravel()
        return np.searchsorted(ends, descriptors, side="right")
