"""Outputs that appear whole or not at all."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.errors import UserError


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write a file or a folder to, and rename it to `target` at the end.

    Where the body raises, what it wrote is removed and `target` stays as it was. UserError where the disk is full or
    read-only.
    """
    # The suffix stays last: several writers choose their format by it.
    aside = target.with_name(f".partial-{target.name}")
    try:
        with _write_errors_named(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove(aside)
            yield aside
            if target.is_dir():
                _remove(target)
            aside.replace(target)
    finally:
        _remove(aside)


def write_json(target: Path, content: Any) -> None:
    """Write a JSON file that people can read, whole or not at all. ValueError for a number that JSON has not, as NaN.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "about.json"
    >>> write_json(target, {"source": "Bülach"})
    >>> print(target.read_text(encoding="utf-8"))
    {
      "source": "Bülach"
    }
    <BLANKLINE>
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(target) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def append(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file. UserError where the disk is full or read-only."""
    with _write_errors_named(path), path.open("ab") as file:
        file.write(data)


@contextlib.contextmanager
def written_rows(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Yield a function that adds rows to a .npy file, which the caller fills to uint8 `shape`.

    A full disk raises an error here, where writing to a memory map would crash.
    """
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})

        def add(rows: NDArray[np.uint8]) -> None:
            file.write(np.ascontiguousarray(rows, np.uint8).tobytes())

        yield add


@contextlib.contextmanager
def _write_errors_named(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The error of a full disk does not name the file.
        raise UserError(
            f"{target}: could not be written ({error}). Mend this and run the same command again."
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
