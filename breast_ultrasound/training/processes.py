"""Several processes, on one machine or many, that train one network, on JAX, joined by `keras.distribution`.

Each computes its part of every batch, and JAX makes of the parts what one device makes of the whole batch, the
statistics of batch normalisation included. So all hold the same weights and decide alike, and the first one writes.
"""

import atexit
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np

from breast_ultrasound.pipeline.errors import UserError

# What `keras.distribution.initialize` reads.
_ADDRESSES, _COUNT, _OWN = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))


@dataclass(frozen=True)
class Processes:
    """The `count` processes of a training, of which this is number `own`."""

    count: int = 1
    own: int = 0

    @property
    def first(self) -> bool:
        """Return whether this is the one that writes."""
        return self.own == 0

    def from_first(self, content: bytes) -> bytes:
        """Return the content that the first process passes, in all of them."""
        if self.count == 1:
            return content
        from jax.experimental import multihost_utils  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
        padded = np.frombuffer(content[:size].ljust(size, b"\0"), np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()

    def check_same(self, key: str) -> None:
        """Raise UserError, in all processes, where the `key` of one is not that of the first."""
        if self.count == 1:
            return
        from jax.experimental import multihost_utils  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        own = np.frombuffer(hashlib.sha256(key.encode()).digest(), np.uint8)
        first, *others = np.asarray(multihost_utils.process_allgather(own))
        different = [str(number) for number, digest in enumerate(others, 1) if (digest != first).any()]
        if different:
            raise UserError(
                f"process {', '.join(different)}: not the fold, params, data, code, versions or hardware of process 0. "
                "Give all the same commit, data (`dvc pull`) and packages, and start them again."
            )


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that the environment names, and leave them together; where it names none, there is but one.

    Enter it before anything is computed. UserError where the variables don't fit together, and where another process
    ends too early.
    """
    own = _from_environment()
    if own.count == 1:
        yield own
        return
    # The other backends run without it.
    import jax  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    # This service would keep SIGTERM from ending a process.
    jax.config.update("jax_enable_preemption_service", False)
    print(
        f"process {own.own} of {own.count}: joining the others at {os.environ[_ADDRESSES]} for up to five minutes.",
        flush=True,
    )
    keras.distribution.initialize()
    try:
        if jax.device_count() != own.count * jax.local_device_count():
            raise UserError(
                f"process {own.own} of {own.count}: has {jax.local_device_count()} of the {jax.device_count()} "
                "devices. Give each process as many."
            )
        yield own
    except BaseException as error:
        atexit.register(_leave, own)
        failed = _cause(error, jax.errors.JaxRuntimeError)
        if not failed:
            raise
        reason, *_ = str(failed).splitlines()
        raise UserError(
            f"process {own.own} of {own.count}: broke off, most likely since another one ended ({reason}). "
            "Look at what that one printed, and start all of them again: they go on after the last finished epoch."
        ) from error


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the first error of a kind among `error` and those during which it was raised."""
    while error and not isinstance(error, kind):
        error = error.__context__
    return error


def _leave(own: Processes) -> None:
    """End this process at once, where JAX would wait for those that are gone."""
    sys.stdout.flush()
    if own.first:
        # JAX aborts the others when this one, their coordinator, ends. Let them print first why they end.
        time.sleep(5)
    os._exit(1)


def _from_environment() -> Processes:
    """Return the processes that the environment names; UserError where it names them incompletely or wrongly."""
    values = {name: os.environ.get(name, "") for name in (_ADDRESSES, _COUNT, _OWN)}
    if not any(values.values()):
        return ALONE
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise UserError(f"{', '.join(missing)}: not set. Set all of {', '.join(values)}, or none of them.")
    if keras.backend.backend() != "jax":
        raise UserError(f"{_COUNT}: several processes train one network on JAX alone. Set KERAS_BACKEND=jax as well.")
    count, own = values[_COUNT], values[_OWN]
    if not (count.isdecimal() and own.isdecimal() and int(own) < int(count)):
        raise UserError(f"{_OWN}: {own} must be a number from 0 up to below {_COUNT}, {count}")
    if values[_ADDRESSES].count(",") not in (0, int(count) - 1) or ":" not in values[_ADDRESSES].split(",")[0]:
        raise UserError(f"{_ADDRESSES}: {values[_ADDRESSES]} must be the address of process 0, such as 10.0.0.1:1234")
    return Processes(int(count), int(own))
