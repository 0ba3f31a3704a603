"""Outputs that appear whole or not at all."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write a file or a folder to, and put it in place of `target` at the end.

    Where the body raises, what it wrote is removed and what stood at `target` before stays as it was.
    """
    # The suffix stays last: several writers choose their format by it.
    aside = target.with_name(f".partial-{target.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(aside)
    try:
        yield aside
        if target.is_dir():
            _remove(target)
        aside.replace(target)
    finally:
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
