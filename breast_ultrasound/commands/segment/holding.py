"""An output folder held by one command at a time."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from breast_ultrasound.pipeline.errors import UserError

if sys.platform != "win32":
    import fcntl

_LOCK = ".segment.lock"


@contextlib.contextmanager
def held(folder: Path, option: str = "--output") -> Iterator[None]:
    """Hold a folder, made if it is missing, against other commands, and remove it at the end if it stayed empty.

    A lock on a file holds it, which goes with the process however that ends; Windows has no such locks, and there
    nothing is held. UserError that names the process if another one holds the folder, and `option`, by which another
    folder is given.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _lock(folder, option) as file:
            file.truncate(0)
            print(f"{os.getpid()} on {platform.node()}", file=file, flush=True)
            try:
                yield
            finally:
                if sys.platform != "win32":
                    (folder / _LOCK).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _lock(folder: Path, option: str) -> TextIO:
    """Open and lock the file, which is new or of a process that was killed."""
    path = folder / _LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{folder}: cannot be written to ({error.strerror}). Give another {option}.") from error
        if sys.platform == "win32":
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{folder}: process {file.read().strip()} writes to it. Wait for its end, or give another {option}."
            ) from None
        except OSError as error:
            raise UserError(f"{folder}: cannot be locked ({error.strerror}). Give another {option}.") from error
        # The process that held it may have removed the file after it was opened here.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()
