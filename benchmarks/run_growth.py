"""Time, memory and disk of each stage on phantoms of growing size.

    uv run python benchmarks/run_growth.py 1000 4000 20000

For each size, clones this repository as it is committed and has DVC run the pipeline there stage by stage, on a phantom
of so many images, a grid of 128×128 pixels and a network that trains for one epoch. Prints a line a stage: seconds of
wall and of processor, DVC's hashing included, and the peak memory of the largest process; and at the end what the data
takes on disk. 20,000 images take 20 GB in `--folder`. Run it where nothing else runs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

CHANGES = {"data": {"sources": ["phantom"]}, "prepare": {"side": 128}, "train": {"epochs": 1}}


def make_clone(folder: Path, images: int) -> None:
    """Clone the repository in the working directory into an empty folder, and ask for a phantom of so many images."""
    subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    params = folder / "params.yaml"
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    for section, changed in CHANGES.items():
        values[section] |= changed
    values["data"]["phantom_images"] = images
    values["split"]["run"] = [0]
    params.write_text(yaml.safe_dump(values), encoding="utf-8")


def stages(folder: Path) -> list[str]:
    """Return the names of the stages, each after those that it needs."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--force"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


def measure(folder: Path, stage: str) -> str:
    """Run a stage, and describe what it took."""
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage]
    with (folder.parent / f"{folder.name}-{stage}.log").open("w") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        sys.exit(Path(log.name).read_text())
    gib = usage.ru_maxrss / 1024**2
    return f"{stage:12} {seconds:8.1f} s {usage.ru_utime + usage.ru_stime:8.1f} s of processor {gib:6.2f} GiB"


def disk(folder: Path) -> str:
    """Describe the MiB of each part of the data."""
    parts = ["data/raw", "data/prepared", "data/predictions", ".dvc/cache", "metrics"]
    printed = subprocess.run(["du", "-sm", *parts], cwd=folder, capture_output=True, text=True, check=True).stdout
    return "disk, MiB: " + ", ".join(" ".join(reversed(line.split("\t"))) for line in printed.splitlines())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, help="where to work; by default the folder for temporary files")
    arguments = parser.parse_args()
    for images in arguments.images:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name) / "clone"
            make_clone(folder, images)
            print(f"{images} images", flush=True)
            for stage in stages(folder):
                print(measure(folder, stage), flush=True)
            print(disk(folder), flush=True)


if __name__ == "__main__":
    main()
