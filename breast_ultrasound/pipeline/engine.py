"""The engine that maps work over images, on the cores of this machine or on those of a cluster."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from tqdm import tqdm

S = TypeVar("S")
T = TypeVar("T")

# The variable in which Dask itself looks for the scheduler.
_ADDRESS = "DASK_SCHEDULER_ADDRESS"

# Items a core that are under way at a time, so that memory does not grow with their number.
_AHEAD = 2


class Workers(Protocol):
    """Threads, here or elsewhere, that compute."""

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        """Begin to compute work(item)."""
        ...

    def result(self, future: Future[T]) -> T:
        """Wait for a result and return it, or raise the error of the work."""
        ...

    def count(self) -> int:
        """Return how many threads there are now."""
        ...


def cluster_address() -> str | None:
    """Return the address of the scheduler whose cluster computes; None where this machine computes alone."""
    return os.environ.get(_ADDRESS) or None


def map_on_all_machines(
    work: Callable[[S], T], items: Iterable[S], label: str | None = None, total: int | None = None
) -> Iterator[T]:
    """Yield the same as `map_on_all_cores`, computed by the Dask cluster that the environment names, if any.

    `work`, the items and the results cross the network. `work` reads large data from files below the working directory,
    which all machines share. UserError where the cluster cannot compute it, or would give other bytes.
    """
    address = cluster_address()
    if address is None:
        yield from map_on_all_cores(work, items, label, total)
        return
    # Dask need not be installed where there is no cluster.
    from breast_ultrasound.pipeline.cluster import connected  # noqa: PLC0415

    with connected(address) as workers:
        yield from _in_order(workers, work, items, label, total)


def map_on_all_cores(
    work: Callable[[S], T], items: Iterable[S], label: str | None = None, total: int | None = None
) -> Iterator[T]:
    """Yield work(item) in the order of `items`, computed by threads on every core of this machine.

    Threads suffice, since decoding, resizing and networks release the interpreter lock. The items are taken one by one,
    a few ahead of the work. Where the work raises or the caller stops, items that have not begun are dropped. With a
    `label` a progress bar counts them, up to `total` where the items have no length.

    >>> list(map_on_all_cores(str.upper, ["benign", "normal"]))
    ['BENIGN', 'NORMAL']
    """
    with _threads() as workers:
        yield from _in_order(workers, work, items, label, total)


def _in_order(
    workers: Workers, work: Callable[[S], T], items: Iterable[S], label: str | None, total: int | None
) -> Iterator[T]:
    total = len(items) if isinstance(items, Sized) else total
    waiting: deque[Future[T]] = deque()
    with tqdm(total=total, desc=label, unit="image", disable=None if label else True) as bar:
        try:
            for item in items:
                waiting.append(workers.submit(work, item))
                while len(waiting) >= _AHEAD * workers.count():
                    yield workers.result(waiting.popleft())
                    bar.update()
            while waiting:
                yield workers.result(waiting.popleft())
                bar.update()
        finally:
            for future in waiting:
                future.cancel()


class _Threads:
    def __init__(self, pool: ThreadPoolExecutor, cores: int) -> None:
        self._pool, self._cores = pool, cores

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        return self._pool.submit(work, item)

    def result(self, future: Future[T]) -> T:
        return future.result()

    def count(self) -> int:
        return self._cores


@contextlib.contextmanager
def _threads() -> Iterator[_Threads]:
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        yield _Threads(pool, cores)
