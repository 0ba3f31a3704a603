"""How work is spread over images."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

S = TypeVar("S")
T = TypeVar("T")


def map_on_all_cores(work: Callable[[S], T], items: Sequence[S], label: str | None = None) -> Iterator[T]:
    """Yield work(item) in the order of `items`, computed on every core, behind a progress bar that bears
    `label`, if there is one.

    Threads do, since decoding and resizing release the interpreter lock. At most 64 results a core wait at a time,
    however many items there are.
    """
    cores = os.cpu_count() or 1
    chunk = 64 * cores
    with (
        ThreadPoolExecutor(cores) as pool,
        tqdm(total=len(items), desc=label, unit="image", disable=None if label else True) as bar,
    ):
        for start in range(0, len(items), chunk):
            for result in pool.map(work, items[start : start + chunk]):
                yield result
                bar.update()
