"""How work is spread over images."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

S = TypeVar("S")
T = TypeVar("T")

# Items a core that are under way at a time, so that memory is flat however many there are.
_AHEAD = 2


def map_on_all_cores(
    work: Callable[[S], T], items: Iterable[S], label: str | None = None, total: int | None = None
) -> Iterator[T]:
    """Yield work(item) in the order of `items`, computed on every core, behind a progress bar that bears
    `label`, if there is one, and goes to `total`, where the items themselves don't tell how many they are.

    Threads do, since decoding, resizing and networks release the interpreter lock. The items are taken one by one, a
    few ahead of the work. Where it raises or the caller stops, what has not begun is dropped.
    """
    cores = os.cpu_count() or 1
    total = len(items) if isinstance(items, Sized) else total
    waiting: deque[Future[T]] = deque()
    with (
        ThreadPoolExecutor(cores) as pool,
        tqdm(total=total, desc=label, unit="image", disable=None if label else True) as bar,
    ):
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) == _AHEAD * cores:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
