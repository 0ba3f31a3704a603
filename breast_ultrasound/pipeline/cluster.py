"""The workers of a Dask cluster, which schedules, tries again and moves data; here they are held to the same bytes.

A worker works only where it runs the same code with the same versions in the same directory on the same storage. Each
is asked before work starts, and again with each item, since workers come and go.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import logging
import os
import pickle
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from breast_ultrasound.pipeline.errors import UserError

try:
    import cloudpickle
    from distributed import Client, KilledWorker, get_worker
    from distributed.client import ClosedClientError
    from distributed.comm.core import CommClosedError
except ImportError as error:
    raise UserError(
        "DASK_SCHEDULER_ADDRESS names a cluster, but Dask is not installed. Run the command with "
        "`uv run --extra cluster`, or remove the variable."
    ) from error

S = TypeVar("S")
T = TypeVar("T")

_ROOT = Path(__file__).parents[2]

# Seconds after which a scheduler that doesn't answer is given up, or twice that without a worker while work waits.
_PATIENCE = 20

# Seconds within which the first worker has to arrive.
_ARRIVAL = 60

# Seconds for which the number of threads is believed.
_FRESH = 1


@dataclass(frozen=True)
class Place:
    """What a worker has to share with the process that sends it work: the working directory, a file in it that was
    just made, the hash of the code and the versions of what decides results.
    """

    folder: str
    token: str
    code: str
    versions: dict[str, str]


@functools.cache
def code() -> str:
    """The SHA-256 of this project's code, when it was asked for first: a worker goes on with what it has loaded."""
    found = hashlib.sha256()
    for folder in ("breast_ultrasound", "stages"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            found.update(
                f"{path.relative_to(_ROOT).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
    return found.hexdigest()


@functools.cache
def version(package: str) -> str:
    """The version of a package, or of Python, that is installed; `none` where there is none."""
    if package == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def unlike(place: Place) -> str | None:
    """How the code of this process differs from that of the place, if it does."""
    if code() != place.code:
        return "it runs other code of this project. Start it anew, from this checkout."
    other = [
        f"{name} {version(name)} instead of {wanted}"
        for name, wanted in place.versions.items()
        if version(name) != wanted
    ]
    if other:
        return f"it has {', '.join(other)}. Give all machines what requirements.lock says."
    return None


def fault(place: Place) -> str | None:
    """Why this process must not work for that place, if it mustn't."""
    told = unlike(place)
    if told:
        return told
    if os.getcwd() != place.folder:  # noqa: PTH109
        return f"it works in {os.getcwd()}. Start it in {place.folder}."  # noqa: PTH109
    if not Path(place.token).exists():
        return f"its {place.folder} is another folder than the one here. Put the checkout on storage that both see."
    return None


class Workers:
    """The threads of the workers, as breast_ultrasound/pipeline/engine.py uses them."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client, self._place = client, place
        # Equal items are different work: what they name may have changed since.
        self._executor = client.get_executor(pure=False)
        self._threads, self._asked = 0, -float("inf")

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        """Have work(item) computed by one of them, by another one where that dies."""
        # Pickled here, since the scheduler would unpickle it on the way.
        return self._executor.submit(_compute, self._place, cloudpickle.dumps((work, item)))

    def result(self, future: Future[T]) -> T:
        """Wait for what was computed, or raise what was raised.

        UserError where no worker is left to do it, ConnectionError where the scheduler isn't there either.
        """
        without_any = 0
        while wait([future], timeout=_PATIENCE).not_done:
            without_any = 0 if self._running() else without_any + 1
            # Those that died may just be starting anew.
            if without_any == 2:
                # While Dask tries to reach a scheduler again, no worker is seen either.
                if self._client.status != "running":
                    raise ConnectionError
                raise UserError(
                    "the cluster: no worker is left that works; they ended, or their memory is full. Start some, with "
                    "more memory (--memory-limit) where it was that, and run the same command again."
                )
        return future.result()

    def count(self) -> int:
        """How many threads there are now, one at least."""
        if time.monotonic() > self._asked + _FRESH:
            self._threads, self._asked = max(1, self._running()), time.monotonic()
        return self._threads

    def _running(self) -> int:
        # Of a scheduler that is gone nothing is known; the results under way tell.
        workers = self._client.scheduler_info().get("workers", {})
        return sum(worker["nthreads"] for worker in workers.values() if worker["status"] == "running")


@contextlib.contextmanager
def connected(address: str) -> Iterator[Workers]:
    """The workers of the scheduler at `address`, once it is sure that they may work.

    UserError where the scheduler or all workers are gone, then or while the body waits for a result; where a worker
    must not work; and where the same work ended one worker after the other.
    """
    with _quiet(), tempfile.NamedTemporaryFile(dir=".", prefix=".partial-") as token, _client(address) as client:
        place = Place(os.getcwd(), Path(token.name).name, code(), _versions())  # noqa: PTH109
        try:
            _check(client, place)
            yield Workers(client, place)
        except KilledWorker as error:
            raise UserError(
                f"the cluster at {address}: work on an image ended {error.allowed_failures + 1} workers, one after the "
                "other. Most often memory was too small: give the workers more (--memory-limit) or fewer threads each "
                "(--nthreads), and run the same command again."
            ) from error
        except (CancelledError, ClosedClientError, OSError) as error:
            raise UserError(
                f"the cluster at {address}: the scheduler is gone. Start it and its workers anew, and run the same "
                "command again."
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging: what goes wrong is told once, in words of this project."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _client(address: str) -> Client:
    """A client of the scheduler, which has a worker at least."""
    try:
        # Other versions, of which Dask warns, are refused later.
        with warnings.catch_warnings(action="ignore"):
            client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"DASK_SCHEDULER_ADDRESS {address}: no scheduler answers. Start one (`dask scheduler`), or remove the "
            "variable to compute on this machine."
        ) from error
    try:
        client.wait_for_workers(1, timeout=_ARRIVAL)
    except TimeoutError as error:
        client.close()
        raise UserError(
            f"the cluster at {address}: has no worker. Start some (`dask worker {address}`), and run the same command "
            "again."
        ) from error
    return client


def _versions() -> dict[str, str]:
    """Those of the packages that decide results, and of what carries the work."""
    deciding = yaml.safe_load((_ROOT / "versions.yaml").read_text(encoding="utf-8"))
    return {name: version(name) for name in ("python", "cloudpickle", "distributed", *deciding)}


def _check(client: Client, place: Place) -> None:
    """UserError where the scheduler or a worker must not work; a worker that can't be reached is asked again when it
    gets work.
    """
    try:
        answers: dict[str, Any] = {"the scheduler": client.run_on_scheduler(unlike, place)}
    except ImportError as error:
        answers = {"the scheduler": error}
    workers: Any = client.run(fault, place, on_error="return")
    answers |= {f"worker {address}": answer for address, answer in workers.items()}
    for name, told in answers.items():
        if isinstance(told, Exception) and not isinstance(told, CommClosedError):
            raise UserError(f"{name}: it cannot run this project ({told}). Start it in this checkout.")
        if isinstance(told, str):
            raise UserError(f"{name}: {told}")


def _compute(place: Place, pickled: bytes) -> Any:
    """On a worker: work(item) of the two that were pickled, errors with the worker's address."""
    worker = get_worker().address
    told = fault(place)
    if told:
        raise UserError(f"worker {worker}: {told}")
    try:
        work, item = pickle.loads(pickled)
        return work(item)
    except (UserError, OSError) as error:
        raise UserError(f"{error} (Told by the worker {worker}.)") from error
