"""The state of an unfinished training on disk, from which it goes on."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.training.processes import ALONE, Processes

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two epochs.

    `variables` are those of network and optimizer, `best_weights` the weights of the best epoch so far, `stopping` how
    early stopping stands, both empty without validation, and `logs` the figures of each finished epoch.
    """

    variables: list[NDArray[Any]]
    best_weights: list[NDArray[Any]]
    stopping: dict[str, float]
    logs: list[dict[str, float]]


def training_key(values: Any, files: Iterable[Path]) -> str:
    """Return a text that differs where a training would: by plain values, and by the contents of files and folders."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.parent.name != "__pycache__":
                digest.update(file.as_posix().encode())
                with file.open("rb") as opened:
                    digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class CheckpointFile:
    """The file with the checkpoint of one training, which `key` distinguishes from all others.

    The first of several `processes` has the file, and all read it.
    """

    path: Path
    key: str
    processes: Processes = ALONE

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in place of the one before."""
        if not self.processes.first:
            return
        plain = json.dumps({"stopping": checkpoint.stopping, "logs": checkpoint.logs}).encode()
        arrays: dict[str, Any] = {"plain": np.frombuffer(plain, np.uint8)}
        arrays |= {f"variable {number}": array for number, array in enumerate(checkpoint.variables)}
        arrays |= {f"best {number}": array for number, array in enumerate(checkpoint.best_weights)}
        content = io.BytesIO()
        np.savez(content, **arrays)
        with atomic_write(self.path) as aside, aside.open("wb") as file:
            file.write(self._digest(content.getbuffer()))
            file.write(content.getbuffer())

    def load(self) -> Checkpoint | None:
        """Read the checkpoint; return None where there is none, or it is damaged, or of another training."""
        has_file = self.processes.first and self.path.exists()
        stored = memoryview(self.processes.from_first(self.path.read_bytes() if has_file else b""))
        if not stored:
            return None
        content = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] != self._digest(content):
            print(f"{self.path}: damaged, or of other data, params or code. Starting from the beginning.")
            return None
        with np.load(io.BytesIO(content)) as arrays:
            variables, best_weights = (
                [arrays[name] for name in arrays.files if name.startswith(kind)] for kind in ("variable", "best")
            )
            return Checkpoint(variables, best_weights, **json.loads(arrays["plain"].tobytes()))

    def remove(self) -> None:
        """Remove the checkpoint of a training that has finished."""
        self.path.unlink(missing_ok=True)

    def _digest(self, content: memoryview) -> bytes:
        digest = hashlib.sha256(self.key.encode())
        digest.update(content)
        return digest.digest()
