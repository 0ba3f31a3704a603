"""The hardware that Keras runs on: the device, the precision, and the same bits on every run."""

import ctypes
import platform
import re
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import keras

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import Section


class Hardware(Section):
    """The device and precision to run with."""

    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "bfloat16", "float16", "float32"]


@dataclass(frozen=True)
class Device:
    """The hardware of a stage: `kind` is cpu or gpu, `name` the product.

    `count` is the number of devices that a training uses. On JAX these are the devices of all its processes; all the
    processors that one process uses count as one.
    """

    kind: str
    name: str
    count: int
    precision: str


# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def configure(hardware: Hardware, seed: int) -> Device:
    """Choose the device and precision of params.yaml for this process, and make its arithmetic repeatable and fast.

    Call it before Keras makes its first tensor. UserError where `hardware.device` is gpu and there is none.
    """
    best = _gpus() or _cpu()
    if hardware.device == "gpu" and best.kind == "cpu":
        raise UserError(
            f"hardware.device is gpu, but the {keras.backend.backend()} backend of Keras sees none. On an NVIDIA "
            "machine run with `uv run --extra gpu …`; else set hardware.device to auto or cpu."
        )
    if hardware.device == "cpu" and best.kind == "gpu":
        _hide_gpus()
        best = _cpu()
    chosen = best if hardware.precision == "auto" else replace(best, precision=hardware.precision)
    keras.config.set_dtype_policy(policy(chosen.precision))
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        tf.config.experimental.enable_op_determinism()
    keep_freed_memory()
    return chosen


def keep_freed_memory() -> None:
    """Make this process reuse the memory that it has freed, rather than give it back; this has no effect without glibc.

    A step of a training takes and frees the same large blocks over and over. glibc gives such blocks back at once, and
    the kernel fills them with zeros, page by page, when they are next touched.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def policy(precision: str) -> str:
    """Return Keras' name of computing in `precision` (float32, bfloat16, float16) on float32 weights.

    >>> policy("float32"), policy("bfloat16")
    ('float32', 'mixed_bfloat16')
    """
    return precision if precision == "float32" else f"mixed_{precision}"


def versions() -> dict[str, str]:
    """Return the versions of what computes the weights."""
    backend = keras.backend.backend()
    names = ["keras", backend, "numpy"]
    return {"python": platform.python_version(), "backend": backend} | {name: version(name) for name in names}


def _gpus() -> Device | None:
    """Return the GPUs that the backend sees, with their best precision, or None."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        gpus = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        name, capability = details.get("device_name", "GPU"), details.get("compute_capability", (0, 0))
    elif backend == "jax":
        import jax  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        gpus = [device for device in jax.devices() if device.platform == "gpu"]
        name = gpus[0].device_kind if gpus else ""
        capability = tuple(int(part) for part in gpus[0].compute_capability.split(".")) if gpus else (0, 0)
    else:
        import torch  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        gpus = list(range(torch.cuda.device_count()))
        name = torch.cuda.get_device_name() if gpus else ""
        capability = torch.cuda.get_device_capability() if gpus else (0, 0)
    if not gpus:
        return None
    # Tensor cores compute float16 from 7.0 (Volta) on and bfloat16 from 8.0 (Ampere) on.
    best = "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
    return Device("gpu", name, 1 if backend == "torch" else len(gpus), best)


def _cpu() -> Device:
    """Return the processors that the backend sees, with their best precision."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        count = jax.device_count("cpu")
    else:
        count = 1
    name = _cpu_info("model name") or platform.processor() or platform.machine()
    flags = _cpu_info("flags").split()
    return Device("cpu", name, count, "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32")


def _hide_gpus() -> None:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        tf.config.set_visible_devices([], "GPU")
    elif backend == "jax":
        import jax  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        jax.config.update("jax_default_device", jax.devices("cpu")[0])
    else:
        raise UserError(
            "hardware.device is cpu, but the torch backend takes any GPU. Hide it: set CUDA_VISIBLE_DEVICES to nothing."
        )


def _cpu_info(field: str) -> str:
    info = Path("/proc/cpuinfo")
    match = re.search(rf"^{field}\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return match[1] if match else ""
