"""How fast training reads what is too large for memory, how much memory it takes, and that it reads ahead.

    uv run python benchmarks/reading.py --images 100000

Writes prepared arrays of as many images of noise to `--folder`, on the disk to be measured, 13 GB of 100,000, and
trains the network of params.yaml on images drawn from all over them, in rounds: with nothing of the arrays in the
system's page cache, with all of it there, and with that and each batch held up for half of the time that a step took.
Prints for each the images per second and what the disk gave, and at the end their ratios and how much the memory of the
process grew since the first steps. The last ratio is 1 where batches are read while the device computes, and 0.67 where
it waits for them. Then the reading alone, and the unpacking of masks, were they packed to bits. Linux only.
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.cases.letterbox import Letterbox
from stages.cases.prepared import IMAGES, INDEX, MASKS, Prepared
from stages.network import device
from stages.network.unet import attention_unet
from stages.pipeline.files import written_rows
from stages.pipeline.params import load
from stages.train import Params, optimizer
from stages.training.batches import Batches
from stages.training.trainer import Trainer

SIZE = 256
WARM_UP = 8


class HeldUp(Batches):
    """Batches that take some seconds more to read."""

    seconds = 0.0

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """The batch, late."""
        time.sleep(self.seconds)
        return super().__getitem__(index)


def write_arrays(folder: Path, images: int) -> None:
    """Prepared data of noise with a square lesion, as many images of SIZE."""
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


def set_cached(folder: Path, cached: bool) -> None:
    """Have all of the arrays in the system's page cache, or nothing."""
    for name in (IMAGES, MASKS):
        with (folder / name).open("rb") as file:
            if cached:
                while file.read(1 << 24):
                    pass
            else:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident() -> dict[str, float]:
    """MiB of this process in memory, of its own and of files."""
    status = Path("/proc/self/status").read_text()
    return {kind: int(re.findall(rf"{kind}:\s*(\d+)", status)[0]) / 1024 for kind in ("RssAnon", "RssFile")}


def from_disk() -> int:
    """Bytes that the disk has given to this process so far."""
    return int(re.findall(r"read_bytes: (\d+)", Path("/proc/self/io").read_text())[0])


class Training:
    """The network of params.yaml, trained on rows drawn from all over the arrays, none of them twice."""

    def __init__(self, folder: Path, rounds: int, steps: int) -> None:
        loaded = load(Params)
        hardware = device.configure(loaded.hardware, loaded.seed)
        self.prepared, self.batch = Prepared.open(folder), loaded.train.batch
        self._drawn = iter(np.random.default_rng(0).permutation(len(self.prepared.images)))
        network = attention_unet(SIZE, loaded.network, loaded.seed)
        self._trainer = Trainer(network, loaded.augment, loaded.train.class_weight, loaded.seed)
        adam = optimizer(loaded.train, 3 * rounds * steps + WARM_UP, hardware.precision)
        self._trainer.compile(adam, jit_compile=keras.backend.backend() == "jax")

    def rows(self, steps: int) -> NDArray[np.int64]:
        """The rows of as many steps, which were not drawn before."""
        return np.fromiter(self._drawn, np.int64, steps * self.batch)

    def run(self, steps: int, held_up: float = 0.0) -> tuple[float, float]:
        """Seconds a step, and MiB that the disk gave for it."""
        batches = HeldUp(self.prepared, self.rows(steps), self.batch)
        batches.seconds = held_up
        given, start = from_disk(), time.perf_counter()
        self._trainer.fit(batches, shuffle=False, verbose=0)
        return (time.perf_counter() - start) / steps, (from_disk() - given) / steps / 2**20


def measure_training(training: Training, folder: Path, rounds: int, steps: int) -> None:
    """Print images per second in each round, the ratios and the memory."""
    training.run(WARM_UP)
    before = resident()
    ratios: dict[str, list[float]] = {"disk": [], "held up": []}
    for _ in range(rounds):
        set_cached(folder, False)
        disk, given = training.run(steps)
        print(f"disk: {training.batch / disk:.1f} images/s, {given:.2f} MiB a step from the disk", flush=True)
        set_cached(folder, True)
        memory, given = training.run(steps)
        print(f"memory: {training.batch / memory:.1f} images/s, {given:.2f} MiB a step from the disk", flush=True)
        held_up, _ = training.run(steps, memory / 2)
        print(f"memory, held up by {memory / 2:.2f} s a step: {training.batch / held_up:.1f} images/s", flush=True)
        ratios["disk"].append(memory / disk)
        ratios["held up"].append(memory / held_up)
    for name, found in ratios.items():
        print(f"{name} / memory: {median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    print(", ".join(f"{kind} {value:.0f} MiB ({value - before[kind]:+.0f})" for kind, value in resident().items()))


def measure_reading(training: Training, folder: Path, rounds: int, steps: int) -> None:
    """Print the milliseconds in which a batch is read alone, and its masks unpacked, were they packed to bits."""
    found: dict[str, list[float]] = {"disk": [], "memory": [], "unpacking": []}
    for _ in range(rounds):
        for where in ("disk", "memory"):
            set_cached(folder, where == "memory")
            batches = Batches(training.prepared, training.rows(steps), training.batch)
            start = time.perf_counter()
            for index in range(steps):
                batches[index]
            found[where].append((time.perf_counter() - start) / steps)
        packed = np.zeros((training.batch, SIZE, SIZE // 8), np.uint8)
        start = time.perf_counter()
        for _ in range(steps):
            np.unpackbits(packed, axis=-1)
        found["unpacking"].append((time.perf_counter() - start) / steps)
    for name, seconds in found.items():
        print(f"a batch, {name}: {1000 * median(seconds):.2f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60, help="steps of each training")
    parser.add_argument("--folder", type=Path, help="where to write the arrays; by default that of temporary files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_arrays(folder, arguments.images)
        training = Training(folder, arguments.rounds, arguments.steps)
        measure_training(training, folder, arguments.rounds, arguments.steps)
        measure_reading(training, folder, arguments.rounds, arguments.steps)


if __name__ == "__main__":
    main()
