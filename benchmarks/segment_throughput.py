"""How fast `segment` is, from files to files, beside PyTorch and MONAI attention U-Nets on the same grid.

    uv run python benchmarks/segment_throughput.py --model models/attention-unet.onnx --images 200
    uv run python benchmarks/segment_throughput.py --peer peer-env/bin/python --peer-script peer_throughput.py

The first line is the time from the start of the command to the mask of one PNG, the second that to refuse a name
that does not exist, each the best of three; the third is images per second of the whole command over `--images`
phantoms, starting included. With --peer, a Python that has torch and monai, and --peer-script, a script that takes
--net, --dtype, --size and --batch and prints a line of JSON with `infer_images_per_s`, what the peers' bare forward
passes reach in the same quarter of an hour, without reading or writing a file. Run it where nothing else runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from breast_ultrasound.inference.exported import read_network
from breast_ultrasound.sources.phantom import write_phantom


def seconds(*command: str, ends: int = 0) -> float:
    """Measure how long a command takes, which has to end with an exit code."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode != ends:
        sys.exit(done.stderr)
    return took


def peers(python: str, script: str, size: int) -> None:
    """Print the images per second of the peers."""
    for net in ("same", "monai"):
        for dtype in ("f32", "bf16"):
            command = [python, script, "--net", net, "--dtype", dtype, "--size", str(size), "--batch", "8"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{net} {dtype}: {json.loads(done.stdout.splitlines()[-1])['infer_images_per_s']} images/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/attention-unet.onnx"))
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--peer", help="a Python that has torch and monai")
    parser.add_argument("--peer-script", default="peer_throughput.py")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "scans"
        raw.mkdir()
        first = write_phantom(raw, arguments.images, seed=1)[0].image
        output = ["--overwrite", "--model", str(arguments.model), "--output", f"{folder}/out"]
        segment = [sys.executable, "-m", "breast_ultrasound.commands.segment.command"]
        one = min(seconds(*segment, str(first), *output) for _ in range(3))
        refused = min(seconds(*segment, "nothing.png", ends=1) for _ in range(3))
        many = seconds(*segment, str(raw), *output)
    print(f"start to mask of one PNG: {one:.2f} s")
    print(f"start to refusal of a missing file: {refused:.2f} s")
    print(f"{arguments.images} images, file to file: {arguments.images / many:.1f} images/s")
    if arguments.peer:
        peers(arguments.peer, arguments.peer_script, read_network(arguments.model).card.size)


if __name__ == "__main__":
    main()
