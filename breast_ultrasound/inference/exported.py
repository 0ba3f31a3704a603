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

from breast_ultrasound.inference.card import Card
from breast_ultrasound.inference.output import Output
from breast_ultrasound.network.names import CLASS_PROBABILITY, FEATURE_DISTANCE, GREY, PROBABILITY
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported network, ready to compute; several threads may use it at once.

    Pickled, it is the path of its file, which the other process opens.
    """

    card: Card
    sha256: str
    has_distance: bool
    _path: Path
    _device: str
    _compiled: Any
    _thread: threading.local

    def __reduce__(self) -> tuple[Callable[..., "ExportedNetwork"], tuple[Path, str, str]]:
        return _reopen, (self._path, self._device, self.sha256)

    def predict(self, grid: Grey) -> Output:
        """Return the output for an image on the network's grid, uint8 [size, size]."""
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        request = self._thread.request
        request.infer({GREY: grid[None]}, share_inputs=True)
        classes = request.get_tensor(CLASS_PROBABILITY).data[0].copy() if self.card.classes else np.empty(0, np.float32)
        distance = float(request.get_tensor(FEATURE_DISTANCE).data[0]) if self.has_distance else None
        return Output(np.round(255 * request.get_tensor(PROBABILITY).data[0]).astype(np.uint8), classes, distance)


@dataclass(frozen=True)
class NetworkFile:
    """The file of an exported network as it was read, with its card."""

    path: Path
    card: Card
    _core: Any
    _model: Any

    def open(self, device: str = "CPU", many: bool = True) -> ExportedNetwork:
        """Make the network ready to compute on a device: CPU, or GPU, which is one of Intel's.

        With `many` images are computed side by side, each on a few cores, else one at a time on all cores.
        UserError if it does not compute what its card says, or the device is missing.
        """
        path, card, model, devices = self.path, self.card, self._model, self._core.available_devices
        if device not in devices:
            raise UserError(f"--device {device}: OpenVINO has no such device. Give {' or '.join(devices)}.")
        # OpenVINO computes in half precision if the hardware can, and the masks differ from those that were evaluated.
        settings = {"PERFORMANCE_HINT": "THROUGHPUT" if many else "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        try:
            if model.input(GREY).partial_shape[1:] != [card.size, card.size]:
                raise _contradiction(path)
            model.reshape({GREY: [1, card.size, card.size]})
            compiled = self._core.compile_model(model, device, settings)
        except RuntimeError as error:
            raise _contradiction(path) from error
        shapes = _shapes(compiled)
        has_distance = shapes.pop(FEATURE_DISTANCE, None) == (1,)
        expected = {PROBABILITY: (1, card.size, card.size), CLASS_PROBABILITY: (1, len(card.classes))}
        if shapes != {name: shape for name, shape in expected.items() if shape[-1]}:
            raise _contradiction(path)
        return ExportedNetwork(card, digest(path), has_distance, path, device, compiled, threading.local())


def read_network(path: Path) -> NetworkFile:
    """Read the file of an exported network; UserError if it is none that the stage `export` has written."""
    if not path.exists():
        raise UserError(f"{path}: no such file. Make it with `uv run dvc repro`, or fetch it: `dvc pull`.")
    if path.suffix != ".onnx":
        raise UserError(f"{path}: not an exported network (.onnx). The stage `export` writes one to models/.")
    core = _openvino().Core()
    try:
        model = core.read_model(path)
    # The latter where its message quotes what is no text.
    except (RuntimeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a network that OpenVINO can read. Replace it.") from error
    return NetworkFile(path, _card(model, path), core, model)


def open_network(path: Path, device: str = "CPU", many: bool = True) -> ExportedNetwork:
    """Read the file of an exported network and make it ready to compute; see `NetworkFile.open`.

    >>> from breast_ultrasound import PRETRAINED
    >>> network = open_network(PRETRAINED)
    >>> network.card.data, network.card.size, network.card.classes
    ('busi, bus-bra, bus-uclm', 256, ('benign', 'malignant', 'normal'))
    >>> output = network.predict(np.zeros((256, 256), np.uint8))
    >>> output.probability.shape, output.probability.dtype, output.class_probabilities.shape
    ((256, 256), dtype('uint8'), (3,))
    """
    return read_network(path).open(device, many)


@functools.lru_cache(maxsize=1)
def _reopen(path: Path, device: str, sha256: str) -> ExportedNetwork:
    """Open the network that another process sent; UserError if the file here is another one."""
    network = open_network(path, device)
    if network.sha256 != sha256:
        raise UserError(f"{path}: has changed, or is another file on this machine. Run the command again.")
    return network


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _openvino() -> Any:
    """Import OpenVINO without its converter, which doubles the time to load and reports every import to its maker."""
    sys.modules.setdefault("openvino.tools.ovc", None)  # pyright: ignore[reportArgumentType]
    import openvino  # noqa: PLC0415  bad input is reported before this loads

    # OpenVINO fills its table of NumPy's types at the first use, and two threads that do so at once wait for ever.
    openvino.Type.u8.to_dtype()
    return openvino


def _card(model: Any, path: Path) -> Card:
    try:
        properties = model.get_rt_info()["framework"]
        return Card.from_properties({key: value.astype(str) for key, value in properties.items()})
    except ValueError as error:
        raise UserError(
            f"{path}: its metadata hold what the pipeline does not write: {error}. Give a file of the stage `export`."
        ) from error
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: lacks its post-processing. Give a file of the stage `export`.") from error


def _shapes(compiled: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's outputs by their names, () where one is not fixed."""
    outputs = [(name, output.partial_shape) for output in compiled.outputs for name in output.get_names()]
    return {name: tuple(shape.to_shape()) if shape.is_static else () for name, shape in outputs}


def _contradiction(path: Path) -> UserError:
    return UserError(f"{path}: does not compute what its metadata say. Give a file of the stage `export`.")
