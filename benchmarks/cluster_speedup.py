"""How much faster prepare and audit are with two workers of a Dask cluster than with one, of one thread and core each.

    uv run --extra cluster python benchmarks/cluster_speedup.py 500

Draws a phantom of so many images (0.3 GB a thousand, in a temporary folder), runs the stages on it on clusters of
processes on loopback, and prints for each how often the wall time with two workers goes into that with one, less the
start of Python. The audit is run as params.yaml has it, and without its search for sweeps, which stays in the process
that sends the work. So do the scheduler and the choice of pairs, for which there should be cores beside the two of the
workers. Nothing else should run meanwhile.
"""

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from distributed import Client, LocalCluster

from breast_ultrasound.cases.raw import write_table
from breast_ultrasound.sources.phantom import write_phantom

ROOT = Path(__file__).parents[1]
WITHOUT_SWEEPS = "audit without sweeps"
TIMED = "from time import perf_counter as now; from stages import {} as it; t = now(); it.main(); print(now() - t)"
OUTPUTS = {"prepare": "data/prepared/images.npy", "audit": "data/groups.csv", WITHOUT_SWEEPS: "data/groups.csv"}


def keep_to(core: int) -> None:
    """Keep all threads of this process, and those that they start, to one core."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@contextlib.contextmanager
def workers(count: int) -> Iterator[str]:
    """Yield the address of a cluster of so many workers in the working directory."""
    cluster: Any = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0")
    with cluster:
        with Client(cluster) as client:
            # Imported before the clock starts, as in a cluster that stands.
            client.run(lambda: __import__("breast_ultrasound.auditing.search"))
            for core, worker in enumerate(client.scheduler_info()["workers"]):
                client.run(keep_to, core, workers=[worker])
        yield cluster.scheduler_address


def seconds(stage: str, address: str) -> float:
    """Measure how long a stage takes on a cluster."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    if stage == WITHOUT_SWEEPS:
        values["audit"]["sweep"] = None
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-c", TIMED.format(stage.split(maxsplit=1)[0])]
    variables = os.environ | {"DASK_SCHEDULER_ADDRESS": address}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int)
    images = parser.parse_args().images
    os.environ |= {"OPENCV_FOR_THREADS_NUM": "1", "PYTHONPATH": str(ROOT)}
    took: dict[tuple[str, int], float] = {}
    made: dict[str, set[str]] = {stage: set() for stage in OUTPUTS}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        raw = Path("data/raw")
        raw.mkdir(parents=True)
        write_table(raw, write_phantom(raw, images, seed=1))
        Path("metrics").mkdir()
        for count in (1, 2):
            with workers(count) as address:
                for stage, output in OUTPUTS.items():
                    took[stage, count] = seconds(stage, address)
                    made[stage].add(hashlib.sha256(Path(output).read_bytes()).hexdigest())
                    print(f"{stage}, {count} worker(s): {took[stage, count]:.1f} s", flush=True)
    for stage, digests in made.items():
        same = "the same bytes" if len(digests) == 1 else "OTHER BYTES"
        print(f"{stage}: {took[stage, 1] / took[stage, 2]:.2f} times as fast with two workers, {same}")


if __name__ == "__main__":
    main()
