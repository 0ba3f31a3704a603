"""How fast training reads what is too large for memory, how much memory it takes, and that it reads ahead.

    uv run python benchmarks/reading.py --images 100000

Writes prepared arrays of as many images of noise to `--folder`, on the disk to be measured, 13 GB of 100,000, and
trains the network of params.yaml on images drawn from all over them. Of three steps in turn the first takes images that
the system has to fetch from the disk, the second such as it has in memory, and the third the same, but held up for half
a step. Prints the median images per second of each, and their ratios to the second: 1 where a batch is read while the
device computes, and for the third 0.67 where the device waits for it. Then how much the memory of the process grew
since the first steps; the reading alone; and the unpacking of masks, were they packed to bits. Linux only.
"""

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import IMAGES, INDEX, MASKS, Prepared
from breast_ultrasound.network import device
from breast_ultrasound.pipeline.files import written_rows
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training.batches import Batches, as_fitted
from breast_ultrasound.training.fitting import build_trainer
from stages.train import Params

SIZE = 256
WARM_UP = 8
KINDS = ("disk", "memory", "held up")


class Mixed(Batches):
    """Batches that come as each of KINDS in turn."""

    held_up = 0.0

    def _part(self, index: int) -> tuple[Any, ...]:
        if index % len(KINDS) == KINDS.index("held up"):
            time.sleep(self.held_up)
        return super()._part(index)


class Clock(keras.callbacks.Callback):
    """A callback that notes when steps end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the moment."""
        self.ended.append(time.perf_counter())


def write_arrays(folder: Path, images: int) -> None:
    """Write prepared data: so many images of noise with a square lesion, SIZE pixels wide."""
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (64, SIZE, SIZE), np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[96:160, 96:160] = 1
    shape = (images, SIZE, SIZE)
    with written_rows(folder / IMAGES, shape) as add_image, written_rows(folder / MASKS, shape) as add_mask:
        for row in range(images):
            add_image(frames[row % len(frames)])
            add_mask(mask)
    row = {"id": "", "class": "benign"} | Letterbox.fit(SIZE, SIZE, SIZE).geometry()
    table = pd.DataFrame([row] * images)
    table["id"] = [str(number) for number in range(images)]
    table.to_csv(folder / INDEX, index=False)
    # What is not on the disk yet cannot be dropped from the cache.
    os.sync()


def set_cached(prepared: Prepared, folder: Path, rows: NDArray[np.int64]) -> None:
    """Put some rows of the arrays into the system's page cache, and nothing else of them."""
    for name in (IMAGES, MASKS):
        with (folder / name).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    prepared.read(rows)


def resident() -> dict[str, float]:
    """Return the MiB of this process in memory, of its own and of files."""
    status = Path("/proc/self/status").read_text()
    return {kind: int(re.findall(rf"{kind}:\s*(\d+)", status)[0]) / 1024 for kind in ("RssAnon", "RssFile")}


def from_disk() -> int:
    """Return the bytes that the disk has given to this process so far."""
    return int(re.findall(r"read_bytes: (\d+)", Path("/proc/self/io").read_text())[0])


def measure_training(prepared: Prepared, folder: Path, steps: int) -> None:
    """Print images per second of each kind of step, what the disk gave, and the memory."""
    params = load(Params)
    batch, hardware = params.train.batch, device.configure_training(params.hardware, params.seed)
    trainer = build_trainer(SIZE, params, steps, hardware.precision)
    drawn = np.random.default_rng(0).permutation(len(prepared.images))
    rows = drawn[: steps * batch]

    def run(rows: NDArray[np.int64], held_up: float) -> NDArray[np.float64]:
        batches, clock = Mixed(prepared, rows, batch), Clock()
        batches.held_up = held_up
        trainer.fit(as_fitted(batches), shuffle=False, verbose=0, callbacks=[clock])
        return np.diff(clock.ended, prepend=np.nan)

    half = float(np.nanmedian(run(drawn[-WARM_UP * batch :], 0.0))) / 2
    kinds = np.arange(steps) % len(KINDS)
    set_cached(prepared, folder, rows[np.repeat(kinds, batch) != KINDS.index("disk")])
    before, given = resident(), from_disk()
    seconds = run(rows, half)
    given = (from_disk() - given) / np.count_nonzero(kinds == KINDS.index("disk")) / 2**20
    medians = [float(np.nanmedian(seconds[kinds == kind])) for kind in range(len(KINDS))]
    for name, median in zip(KINDS, medians, strict=True):
        print(f"{name}: {batch / median:.1f} images/s, {medians[KINDS.index('memory')] / median:.2f} of memory's")
    print(f"held up by {half:.2f} s; the disk gave {given:.2f} MiB a step of that kind")
    print(", ".join(f"{kind} {value:.0f} MiB ({value - before[kind]:+.0f})" for kind, value in resident().items()))


def measure_reading(prepared: Prepared, folder: Path, batch: int, steps: int) -> None:
    """Print the milliseconds in which a batch is read alone, and its masks unpacked, were they packed to bits."""
    rows = np.random.default_rng(1).permutation(len(prepared.images))[: steps * batch].reshape(steps, batch)
    packed = np.zeros((batch, SIZE, SIZE // 8), np.uint8)
    set_cached(prepared, folder, rows[0])
    measured: dict[str, Callable[[NDArray[np.int64]], object]] = {
        "from the disk": prepared.read,
        "from memory": prepared.read,
        "masks unpacked": lambda _: np.unpackbits(packed, axis=-1),
    }
    for name, work in measured.items():
        seconds = []
        for some in rows[1:]:
            start = time.perf_counter()
            work(some)
            seconds.append(time.perf_counter() - start)
        print(f"a batch, {name}: {1000 * np.median(seconds):.2f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=150, help="steps of all three kinds together")
    parser.add_argument("--folder", type=Path, help="where to write the arrays; by default that of temporary files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_arrays(folder, arguments.images)
        prepared = Prepared.open(folder)
        measure_training(prepared, folder, arguments.steps)
        measure_reading(prepared, folder, 8, arguments.steps)


if __name__ == "__main__":
    main()
