"""How much faster prepare and audit are with workers of a Dask cluster, one and two, of one thread each.

    uv run --extra cluster python benchmarks/cluster_speedup.py 1000

Draws a phantom of so many images (0.3 GB a thousand, in a temporary folder), runs both stages on it with a single
thread and no cluster, then on clusters of processes on loopback, and prints for each the ratio of its wall time to the
first one's, starting Python included. OpenCV is held to one thread everywhere. Nothing else should run meanwhile.
"""

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

from stages.cases.raw import write_table
from stages.sources.phantom import write_phantom

PARAMS = Path("params.yaml").resolve()
OUTPUTS = {"prepare": "data/prepared/images.npy", "audit": "data/groups.csv"}
SINGLE = "import os, runpy; os.cpu_count = lambda: 1; runpy.run_module('stages.{}', run_name='__main__')"


@contextlib.contextmanager
def workers(count: int) -> Iterator[dict[str, str]]:
    """A cluster of so many workers in the working directory, as variables that name it; none of none."""
    if not count:
        yield {}
        return
    cluster: Any = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0")
    with cluster:
        with Client(cluster) as client:
            # Imported before the clock starts, as in a cluster that stands.
            client.run(lambda: __import__("stages.repeats.search"))
        yield {"DASK_SCHEDULER_ADDRESS": cluster.scheduler_address}


def seconds(stage: str, variables: dict[str, str]) -> float:
    """How long a stage takes, on a single thread here where no cluster is named."""
    command = ["-m", f"stages.{stage}"] if variables else ["-c", SINGLE.format(stage)]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int)
    images = parser.parse_args().images
    os.environ |= {"OPENCV_FOR_THREADS_NUM": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        raw = Path("data/raw")
        raw.mkdir(parents=True)
        write_table(raw, write_phantom(raw, images, seed=1))
        Path("params.yaml").symlink_to(PARAMS)
        alone: dict[str, float] = {}
        made: dict[str, set[str]] = {stage: set() for stage in OUTPUTS}
        for count in (0, 1, 2):
            with workers(count) as variables:
                for stage, output in OUTPUTS.items():
                    took = seconds(stage, variables)
                    made[stage].add(hashlib.sha256(Path(output).read_bytes()).hexdigest())
                    print(f"{stage}, {count} workers: {took / alone.setdefault(stage, took):.2f}", flush=True)
    for stage, digests in made.items():
        print(f"{stage}: {'the same bytes' if len(digests) == 1 else 'OTHER BYTES'}")


if __name__ == "__main__":
    main()
