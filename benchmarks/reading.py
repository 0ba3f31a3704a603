"""How fast training reads what is too large for memory, and how much memory it takes.

    uv run python benchmarks/reading.py --images 20000

Writes prepared arrays of as many images of noise to `--folder`, on the disk to be measured, and trains the network of
params.yaml on images drawn from all over them: first with nothing of the arrays in the system's page cache, then with
all of it there, each in a process of its own. Beside images per second stands the memory of the process at the end, its
own and that of files, with what the measured steps added. Linux only; run it where nothing else runs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from stages.cases.letterbox import Letterbox
from stages.cases.prepared import IMAGES, INDEX, MASKS, Prepared
from stages.network import device
from stages.network.unet import attention_unet
from stages.pipeline.params import load
from stages.train import Params, optimizer
from stages.training.batches import Batches
from stages.training.trainer import Trainer

SIZE = 256


def write_arrays(folder: Path, images: int) -> None:
    """Prepared data of noise with a square lesion, as many images of SIZE."""
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (64, SIZE, SIZE), np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[96:160, 96:160] = 1
    arrays = [open_memmap(folder / name, "w+", np.uint8, (images, SIZE, SIZE)) for name in (IMAGES, MASKS)]
    for row in range(images):
        arrays[0][row], arrays[1][row] = frames[row % len(frames)], mask
    for array in arrays:
        array.flush()
    row = {"id": "", "class": "benign"} | Letterbox.fit(SIZE, SIZE, SIZE).geometry()
    table = pd.DataFrame([row] * images)
    table["id"] = [str(number) for number in range(images)]
    table.to_csv(folder / INDEX, index=False)


def resident() -> dict[str, float]:
    """MiB of this process in memory, of its own and of files."""
    status = Path("/proc/self/status").read_text()
    return {kind: int(re.findall(rf"{kind}:\s*(\d+)", status)[0]) / 1024 for kind in ("RssAnon", "RssFile")}


def set_cached(folder: Path, cached: bool) -> None:
    """Have all of the arrays in the system's page cache, or nothing."""
    for name in (IMAGES, MASKS):
        with (folder / name).open("rb") as file:
            if cached:
                while file.read(1 << 24):
                    pass
            else:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def train(folder: Path, steps: int) -> str:
    """Images per second over a number of steps, after a few to warm up, and memory."""
    loaded = load(Params)
    hardware = device.configure(loaded.hardware, loaded.seed)
    prepared = Prepared.open(folder)
    network = attention_unet(prepared.size, loaded.network, loaded.seed)
    trainer = Trainer(network, loaded.augment, loaded.train.class_weight, loaded.seed)
    trainer.compile(optimizer(loaded.train, 2 * steps, hardware.precision), jit_compile=False)
    drawn = np.random.default_rng(0).permutation(len(prepared.images))
    count, warm_up = steps * loaded.train.batch, 8 * loaded.train.batch
    trainer.fit(Batches(prepared, drawn[:warm_up], loaded.train.batch), shuffle=False, verbose=0)
    before = resident()
    start = time.perf_counter()
    trainer.fit(Batches(prepared, drawn[warm_up : warm_up + count], loaded.train.batch), shuffle=False, verbose=0)
    rate = count / (time.perf_counter() - start)
    grown = ", ".join(f"{kind} {value:.0f} MiB ({value - before[kind]:+.0f})" for kind, value in resident().items())
    return f"{rate:.1f} images/s, {grown}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=100, help="steps of a training")
    parser.add_argument("--folder", type=Path, help="where to write the arrays; by default that of temporary files")
    parser.add_argument("--train", type=Path, help="train on these arrays once, in this process")
    arguments = parser.parse_args()
    if arguments.train:
        print(train(arguments.train, arguments.steps))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_arrays(folder, arguments.images)
        os.sync()
        own = [sys.executable, __file__, "--train", name, "--steps", str(arguments.steps)]
        for where, cached in (("disk", False), ("memory", True)):
            set_cached(folder, cached)
            done = subprocess.run(own, capture_output=True, text=True, check=True)
            print(f"{where}: {done.stdout.splitlines()[-1]}")


if __name__ == "__main__":
    main()
