"""Work on a Dask cluster, which schedules it, tries again and moves data. This module makes it give the same bytes.

A worker may compute only where it runs the same code with the same versions in the same directory on the same storage.
Each is checked before work starts, and again with each item, since workers come and go.
"""

import contextlib
import logging
import os
import pickle
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any, TypeVar

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.place import Place, code, difference, obstacle, versions

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

# Seconds to wait for an answer of the scheduler; twice that for a worker while work waits.
_PATIENCE = 20

# Seconds to wait for the first worker.
_ARRIVAL = 60

# Seconds after which the threads are counted again.
_FRESH = 1


class ClusterWorkers:
    """The threads of a cluster's workers, as the protocol in engine.py asks for them."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client, self._place = client, place
        # Equal items are different work, since the files that they name may have changed.
        self._executor = client.get_executor(pure=False)
        self._threads, self._counted = 0, -float("inf")

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        """Have a worker compute work(item), and another one where that dies."""
        # Pickled here, since the scheduler would unpickle it on the way.
        return self._executor.submit(_compute, self._place, cloudpickle.dumps((work, item)))

    def result(self, future: Future[T]) -> T:
        """Wait for a result and return it, or raise the error of the work.

        UserError where no worker is left, ConnectionError where the scheduler is gone too.
        """
        rounds_alone = 0
        while wait([future], timeout=_PATIENCE).not_done:
            rounds_alone = 0 if self._running() else rounds_alone + 1
            # After the first one, workers that died may just be starting anew.
            if rounds_alone == 2:
                # While Dask looks for a lost scheduler, it counts no worker either.
                if self._client.status != "running":
                    raise ConnectionError
                raise UserError(
                    "the cluster: no worker is left that works; they ended, or their memory is full. Start some, with "
                    "more memory (--memory-limit) where it was that, and run the same command again."
                )
        return future.result()

    def count(self) -> int:
        """Return how many threads there are now, one at least."""
        if time.monotonic() > self._counted + _FRESH:
            self._threads, self._counted = max(1, self._running()), time.monotonic()
        return self._threads

    def _running(self) -> int:
        # A scheduler that is gone has no entry; the results under way then raise.
        workers = self._client.scheduler_info().get("workers", {})
        return sum(worker["nthreads"] for worker in workers.values() if worker["status"] == "running")


@contextlib.contextmanager
def connected(address: str) -> Iterator[ClusterWorkers]:
    """Yield the workers of the scheduler at `address`, after a check that they may compute.

    UserError where the scheduler or all workers are gone, then or while the body waits for a result; where a worker
    must not compute; and where the same work ended one worker after the other.
    """
    with _quiet(), tempfile.NamedTemporaryFile(dir=".", prefix=".partial-") as token, _client(address) as client:
        place = Place(os.getcwd(), Path(token.name).name, code(), versions())  # noqa: PTH109
        try:
            _check(client, place)
            yield ClusterWorkers(client, place)
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
    """Keep Dask from logging, since a UserError describes what went wrong."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _client(address: str) -> Client:
    """Connect to the scheduler, and wait until it has a worker."""
    try:
        # Dask warns of other versions, which are refused later.
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


def _check(client: Client, place: Place) -> None:
    """Raise UserError where the scheduler or a worker must not compute.

    A worker that cannot be reached now is checked when it gets work.
    """
    try:
        answers: dict[str, Any] = {"the scheduler": client.run_on_scheduler(difference, place)}
    except ImportError as error:
        answers = {"the scheduler": error}
    workers: Any = client.run(obstacle, place, on_error="return")
    answers |= {f"worker {address}": answer for address, answer in workers.items()}
    for name, answer in answers.items():
        if isinstance(answer, Exception) and not isinstance(answer, CommClosedError):
            raise UserError(f"{name}: it cannot run this project ({answer}). Start it in this checkout.")
        if isinstance(answer, str):
            raise UserError(f"{name}: {answer}")


def _compute(place: Place, pickled: bytes) -> Any:
    """Compute work(item) of the pickled pair on a worker; errors of the user's data name the worker."""
    worker = get_worker().address
    reason = obstacle(place)
    if reason:
        raise UserError(f"worker {worker}: {reason}")
    try:
        work, item = pickle.loads(pickled)
        return work(item)
    except (UserError, OSError) as error:
        raise UserError(f"{error} (On the worker {worker}.)") from error
