"""How fast the network trains, from scratch and on an encoder, beside PyTorch and MONAI attention U-Nets.

    uv run python benchmarks/training.py
    uv run python benchmarks/training.py --peer peer-env/bin/python --peer-script peer_throughput.py

Takes data/prepared of the run that is checked out, and params.yaml but for the encoder; augmentation is included. Each
network runs in a process of its own, all of them in turn, `--rounds` times; images per second are medians over the
rounds, each with the lowest and the highest. With --peer, a Python that has torch and monai, and --peer-script, a
script that takes --net, --dtype, --size and --batch and prints a line of JSON with `train_images_per_s`, the peers'
steps on one batch of that size in memory, without augmentation. Run it where nothing else runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import keras
import numpy as np

from breast_ultrasound.cases.prepared import PREPARED, Prepared
from breast_ultrasound.network import device
from breast_ultrasound.network.unet import attention_unet
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training.batches import Batches, as_fitted
from breast_ultrasound.training.trainer import Trainer
from stages.train import Params, optimizer

ENCODERS = ("none", "efficientnet-lite0")
PEERS = (("same", "f32"), ("monai", "f32"), ("same", "bf16"), ("monai", "bf16"))


def images_per_second(encoder: str, steps: int) -> float:
    """Images per second of training with an encoder, over a number of steps that follow as many to warm up."""
    loaded = load(Params)
    loaded = loaded.model_copy(update={"network": loaded.network.model_copy(update={"encoder": encoder})})
    hardware = device.configure(loaded.hardware, loaded.seed)
    prepared = Prepared.open(PREPARED)
    rows = np.arange(steps * loaded.train.batch) % len(prepared.images)
    batches = as_fitted(Batches(prepared, rows, loaded.train.batch, seed=loaded.seed))
    network = attention_unet(prepared.size, loaded.network, loaded.seed)
    trainer = Trainer(network, loaded.augment, loaded.train.class_weight, loaded.seed)
    adam = optimizer(loaded.train, 2 * steps, hardware.precision)
    trainer.compile(adam, jit_compile=keras.backend.backend() == "jax")
    trainer.fit(batches, epochs=1, shuffle=False, verbose=0)
    start = time.perf_counter()
    trainer.fit(batches, epochs=1, shuffle=False, verbose=0)
    return len(rows) / (time.perf_counter() - start)


def last_line(*command: str) -> str:
    """The last line that a command prints, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.splitlines()[-1]


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """One round: images per second of each network."""
    own = [sys.executable, __file__, "--steps", str(arguments.steps), "--encoder"]
    found = {f"here, encoder {encoder}": float(last_line(*own, encoder)) for encoder in ENCODERS}
    if arguments.peer:
        grid = ["--size", str(Prepared.open(PREPARED).size), "--batch", str(load(Params).train.batch)]
        for net, dtype in PEERS:
            command = [arguments.peer, arguments.peer_script, "--net", net, "--dtype", dtype, *grid]
            found[f"{net}, {dtype}"] = json.loads(last_line(*command))["train_images_per_s"]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16, help="steps of a round")
    parser.add_argument("--encoder", help="measure this one once, in this process")
    parser.add_argument("--peer", help="a Python that has torch and monai")
    parser.add_argument("--peer-script", default="peer_throughput.py")
    arguments = parser.parse_args()
    if arguments.encoder:
        print(images_per_second(arguments.encoder, arguments.steps))
        return
    rounds = [measure(arguments) for _ in range(arguments.rounds)]
    for name in rounds[0]:
        rates = [found[name] for found in rounds]
        print(f"{name}: {statistics.median(rates):.1f} images/s ({min(rates):.1f} to {max(rates):.1f})")


if __name__ == "__main__":
    main()
