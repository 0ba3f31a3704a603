"""Time and memory of the audit on phantoms of growing size.

    uv run python benchmarks/audit_growth.py 1000 4000 16000

Draws each phantom (0.3 GB a thousand images, in a temporary folder), audits it in a process of its own (0.1 GB more),
and prints a line: images, seconds, of wall and of processor, peak memory, and recall and precision of the planted
pairs: of images that repeat one frame, and of others that are of one sweep. Nothing else should run meanwhile; where
something does, only the seconds of wall suffer.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from stages.cases.raw import write_table
from stages.sources.phantom import write_phantom

PARAMS = Path("params.yaml").resolve()


def pairs(groups: pd.Series) -> set[tuple[int, int]]:
    """Pairs of rows with the same group."""
    members = groups.groupby(groups).indices.values()
    return {(int(a), int(b)) for rows in members for a in rows for b in rows if a < b}


def agreement(planted: set[tuple[int, int]], found: set[tuple[int, int]]) -> str:
    """Recall and precision of the pairs that were found."""
    both = len(planted & found)
    return f"{len(planted)} pairs, recall {both / len(planted):.4f}, precision {both / len(found):.4f}"


def measure(images: int, folder: Path) -> str:
    """Draw a phantom in `folder`, audit it there, and describe how it went."""
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    write_table(raw, write_phantom(raw, images, seed=1))
    (folder / "params.yaml").symlink_to(PARAMS)
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "stages.audit"], cwd=folder, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    # The largest of the processes so far; sizes grow, so it is the one that just ended. KiB on Linux.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, processor = used.ru_maxrss / 2**20, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    planted, found = pd.read_csv(raw / "planted.csv"), pd.read_csv(folder / "data" / "groups.csv")
    repeated, of_sweep = pairs(planted["frame"]), pairs(planted["sweep"])
    repeats = agreement(repeated, pairs(found["frame"]))
    sweeps = agreement(of_sweep - repeated, pairs(found["sweep"]) - repeated)
    return (
        f"{images} images: {seconds:.1f} s, {1000 * seconds / images:.1f} ms an image, {processor:.1f} s of processor, "
        f"{peak:.2f} GiB; repeats: {repeats}; sweeps: {sweeps}"
    )


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=int, help="sizes, in growing order")
    for images in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(images, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
