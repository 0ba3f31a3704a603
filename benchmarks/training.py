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

import numpy as np

from breast_ultrasound.cases.prepared import PREPARED, Prepared
from breast_ultrasound.network import device
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training.batches import Batches, as_fitted
from breast_ultrasound.training.fitting import build_trainer
from stages.train import Params

ENCODERS = ("none", "efficientnet-lite0")
PEERS = (("same", "f32"), ("monai", "f32"), ("same", "bf16"), ("monai", "bf16"))


def images_per_second(encoder: str, steps: int) -> float:
    """Measure images per second of training with an encoder, over some steps that follow as many to warm up."""
    params = load(Params)
    params = params.model_copy(update={"network": params.network.model_copy(update={"encoder": encoder})})
    hardware = device.configure_training(params.hardware, params.seed)
    prepared = Prepared.open(PREPARED)
    rows = np.arange(steps * params.train.batch) % len(prepared.images)
    batches = as_fitted(Batches(prepared, rows, params.train.batch, seed=params.seed))
    trainer = build_trainer(prepared.size, params, 2 * steps, hardware.precision)
    trainer.fit(batches, epochs=1, shuffle=False, verbose=0)
    start = time.perf_counter()
    trainer.fit(batches, epochs=1, shuffle=False, verbose=0)
    return len(rows) / (time.perf_counter() - start)


def last_line(*command: str) -> str:
    """Return the last line that a command prints, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.splitlines()[-1]


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure images per second of each network, once."""
    own = [sys.executable, __file__, "--steps", str(arguments.steps), "--encoder"]
    rates = {f"here, encoder {encoder}": float(last_line(*own, encoder)) for encoder in ENCODERS}
    if arguments.peer:
        grid = ["--size", str(Prepared.open(PREPARED).size), "--batch", str(load(Params).train.batch)]
        for net, dtype in PEERS:
            command = [arguments.peer, arguments.peer_script, "--net", net, "--dtype", dtype, *grid]
            rates[f"{net}, {dtype}"] = json.loads(last_line(*command))["train_images_per_s"]
    return rates


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
        rates = [measured[name] for measured in rounds]
        print(f"{name}: {statistics.median(rates):.1f} images/s ({min(rates):.1f} to {max(rates):.1f})")


if __name__ == "__main__":
    main()
