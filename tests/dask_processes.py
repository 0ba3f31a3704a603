"""Schedulers and workers of Dask as processes on loopback."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conftest import ROOT
from distributed import Client

DASK = (sys.executable, "-m", "dask")
Process = subprocess.Popen[bytes]
Start = Callable[..., Process]


@contextlib.contextmanager
def processes() -> Iterator[Start]:
    """What starts a process in a folder, with this project's code; all are killed at the end."""
    started: list[Process] = []

    def start(folder: Path, *command: str, **environment: str) -> Process:
        variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
        # A group of its own, since a worker has a nanny.
        with (folder / f"process-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=variables, stderr=log, start_new_session=True)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            kill(process)


def kill(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    if number == signal.SIGKILL:
        process.wait()


def start_scheduler(start: Start, folder: Path) -> tuple[str, Process]:
    file = folder / "scheduler.json"
    once_more = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    options = (
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(file),
        "--idle-timeout",
        "300s",
    )
    process = start(folder, *DASK, "scheduler", *options, **once_more)
    while not file.exists() or not file.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    return json.loads(file.read_text())["address"], process


def start_workers(
    start: Start, address: str, folder: Path, *options: str, before: tuple[str, ...] = (), **environment: str
) -> Process:
    """Start workers of one thread each in a folder, one by default, and wait until they are there."""
    fixed = ("--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
    process = start(folder, *before, *DASK, "worker", address, *fixed, *(options or ("--no-nanny",)), **environment)
    with Client(address, timeout=60, set_as_default=False) as client:
        running = len(client.scheduler_info()["workers"])
        if "--nworkers" in options or not running:
            client.wait_for_workers(2 if "--nworkers" in options else 1, timeout=120)
    return process


def under_way(address: str) -> int:
    """How many tasks a cluster has, those included that nobody waits for any more."""
    with Client(address, set_as_default=False) as client:
        tasks: Any = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        executing: Any = client.run(lambda dask_worker: len(dask_worker.state.executing))
    return tasks + sum(executing.values())
