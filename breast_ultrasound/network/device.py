"""The hardware that Keras runs on: the device, the precision, and the same bits on every run."""

import ctypes
import os
import platform
import re
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import keras
from pydantic import model_validator

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import Section


class Hardware(Section):
    """The device, the precision and the arithmetic to run with."""

    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "bfloat16", "float16", "float32"]
    arithmetic: Literal["portable", "native"]

    @model_validator(mode="after")
    def _check(self) -> "Hardware":
        if self.arithmetic == "portable" and self.precision not in ("auto", "float32"):
            raise ValueError(f"precision: {self.precision} is not portable; set it to auto, or arithmetic to native")
        if self.arithmetic == "portable" and self.device == "gpu":
            raise ValueError("device: a GPU is not portable; set it to auto, or arithmetic to native")
        return self


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


# Every x86-64 processor of the last ten years has these instructions.
_INSTRUCTIONS = "AVX2"
# Into how many parts a training divides its sums, a thread each, on any number of cores: as many as a small laptop has.
# Two cores lose nothing by four.
_THREADS = 4

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def configure(hardware: Hardware, seed: int) -> Device:
    """Choose the device and precision of params.yaml for this process, and make its arithmetic repeatable and fast.

    Call it before Keras makes its first tensor. UserError where `hardware.device` is gpu and there is none, and where
    the arithmetic is portable and the backend is not TensorFlow.
    """
    chosen = _portable() if hardware.arithmetic == "portable" else _native(hardware)
    keras.config.set_dtype_policy(policy(chosen.precision))
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        tf.config.experimental.enable_op_determinism()
    keep_freed_memory()
    return chosen


def configure_training(hardware: Hardware, seed: int) -> Device:
    """Choose as `configure` does, and let a portable training divide its sums into as many parts on every machine.

    Each thread adds up a part of a gradient. Predictions are the same whatever the number of threads.
    """
    if hardware.arithmetic == "portable" and keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    return configure(hardware, seed)


def limit_instructions() -> None:
    """Make the convolutions of this process use instructions that all processors have, and so give the same bytes.

    Call it before the first convolution, since oneDNN, which computes them, reads the variable once.
    """
    os.environ["ONEDNN_MAX_CPU_ISA"] = _INSTRUCTIONS
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        # It merges a convolution with its normalisation, and takes the square root's reciprocal by an instruction
        # (vrsqrtps) that gives an approximation, another one on each maker's processors.
        tf.config.optimizer.set_experimental_options({"remapping": False})


def _portable() -> Device:
    """Choose an arithmetic that gives the same bytes on every x86-64 processor with AVX2."""
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"hardware.arithmetic is portable, which the {keras.backend.backend()} backend of Keras cannot promise. "
            "Set it to native."
        )
    limit_instructions()
    if _gpus():
        print("hardware.arithmetic is portable, so that the GPU stays idle. Set it to native to use it.")
        _hide_gpus()
    # Files that name the processor would differ.
    is_promised = _INSTRUCTIONS.lower() in _cpu_info("flags").split()
    return Device("cpu", f"x86-64 with {_INSTRUCTIONS}" if is_promised else _cpu_name(), 1, "float32")


def _native(hardware: Hardware) -> Device:
    """Choose the device and precision of params.yaml, at the best that this machine has."""
    best = _gpus() or _cpu()
    if hardware.device == "gpu" and best.kind == "cpu":
        raise UserError(
            f"hardware.device is gpu, but the {keras.backend.backend()} backend of Keras sees none. On an NVIDIA "
            "machine run with `uv run --extra gpu …`; else set hardware.device to auto or cpu."
        )
    if hardware.device == "cpu" and best.kind == "gpu":
        _hide_gpus()
        best = _cpu()
    return best if hardware.precision == "auto" else replace(best, precision=hardware.precision)


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
    flags = _cpu_info("flags").split()
    return Device("cpu", _cpu_name(), count, "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32")


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


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
