"""Exported networks computed by OpenVINO, without Keras or TensorFlow."""

import functools
import hashlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.inference.card import Card
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError

# The names of the exported network's input and outputs.
GREY, PROBABILITY, CLASS_PROBABILITY = "grey", "probability", "class_probability"


@dataclass(frozen=True)
class Network:
    """An exported network that is ready to compute; may be used from several threads at once.

    To other processes it goes as the path of its file, and is opened there.
    """

    card: Card
    sha256: str
    _path: Path
    _device: str
    _compiled: Any
    _of_thread: threading.local

    def __reduce__(self) -> tuple[Callable[..., "Network"], tuple[Path, str, str]]:
        return _opened, (self._path, self._device, self.sha256)

    def predict(self, square: Grey) -> tuple[Grey, NDArray[np.float32]]:
        """What the network says of uint8 [size, size].

        The lesion probability of each pixel in steps of 1/255, uint8 of the same shape, as the stage `predict` writes
        it, and the probability of each class, float32 [classes], [0] without a class head.
        """
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        request = self._of_thread.request
        request.infer({GREY: square[None]}, share_inputs=True)
        classes = request.get_tensor(CLASS_PROBABILITY).data[0].copy() if self.card.classes else np.empty(0, np.float32)
        return np.round(255 * request.get_tensor(PROBABILITY).data[0]).astype(np.uint8), classes


def read_card(path: Path) -> Card:
    """What a network's file says of itself; UserError where it is none that the stage `export` has written."""
    return _card(_read(path)[1], path)


def open_network(path: Path, device: str = "CPU", many: bool = True) -> Network:
    """Read a network and prepare it for a device: CPU, or GPU, one of Intel's.

    With `many` it is made for several threads at once, each image on a few cores, else for one image on all of them.
    UserError where the file is no network of this project, or the device is not there.
    """
    core, model = _read(path)
    card = _card(model, path)
    if device not in core.available_devices:
        raise UserError(f"--device {device}: OpenVINO sees none; there is {', '.join(core.available_devices)}.")
    model.reshape({GREY: [1, card.size, card.size]})
    # Where the hardware has it, OpenVINO takes half precision, in which masks are not those that were evaluated.
    settings = {"PERFORMANCE_HINT": "THROUGHPUT" if many else "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(model, device, settings)
    return Network(card, digest(path), path, device, compiled, threading.local())


@functools.lru_cache(maxsize=1)
def _opened(path: Path, device: str, sha256: str) -> Network:
    """The network of another process; UserError where the file isn't the one that was opened there."""
    network = open_network(path, device)
    if network.sha256 != sha256:
        raise UserError(f"{path}: has changed, or is another file on this machine. Run the command again.")
    return network


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _openvino() -> Any:
    """OpenVINO without its converter, which takes as long to load as the rest and reports every import to its maker."""
    sys.modules.setdefault("openvino.tools.ovc", None)  # pyright: ignore[reportArgumentType]
    import openvino  # noqa: PLC0415  a mistyped name is told before this loads

    # OpenVINO makes its table of NumPy's types at their first use, and two threads that do so at once wait for ever.
    openvino.Type.u8.to_dtype()
    return openvino


def _read(path: Path) -> tuple[Any, Any]:
    """OpenVINO's core and the network."""
    if not path.exists():
        raise UserError(f"{path}: no network there. Make it with `uv run dvc repro`, or fetch it: `dvc pull`.")
    if path.suffix != ".onnx":
        raise UserError(f"{path}: not an exported network (.onnx). The stage `export` makes one of those in models/.")
    core = _openvino().Core()
    try:
        return core, core.read_model(path)
    except RuntimeError as error:
        raise UserError(f"{path}: not a network that OpenVINO can read. Replace it.") from error


def _card(model: Any, path: Path) -> Card:
    try:
        properties = model.get_rt_info()["framework"]
        return Card.from_properties({key: value.astype(str) for key, value in properties.items()})
    except (AttributeError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path}: does not say how to make masks of it; it is none that `export` has written."
        ) from error
