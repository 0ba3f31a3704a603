"""Weights learned on ImageNet, from the packages that carry them.

Their files have PyTorch's old format: five pickles (magic number, protocol, sizes of the types, state dict, keys of
the storages), then the count and the bytes of each storage. They are read without PyTorch, and the pickles may name
nothing but what a state dict needs.
"""

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np
from numpy.typing import NDArray


def imagenet_weights(package: str) -> dict[str, NDArray[Any]]:
    """Read the state dict that an installed package carries as its only .pth file."""
    (listed,) = (file for file in metadata.files(package) or [] if file.suffix == ".pth")
    with Path(str(listed.locate())).open("rb") as file:
        return read_state_dict(file)


def read_state_dict(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Read the arrays of a state dict by name, float32 or int64, in the order of the file.

    UnpicklingError where the file names anything else, ValueError where a tensor reaches beyond its storage or the file
    is cut.
    """
    reader = _Reader(file)
    *_, state, keys = (reader.load() for _ in range(5))
    for key in keys:
        storage = reader.storages[key]
        (count,) = np.frombuffer(file.read(8), "<i8")
        if count != storage.size:
            raise ValueError(f"storage {key} holds {count} values, not {storage.size}")
        storage[:] = np.frombuffer(file.read(storage.nbytes), storage.dtype)
    return dict(state)


def set_weights(network: keras.Model, state: dict[str, NDArray[Any]]) -> None:
    """Give each layer of `network` the tensors of its name in a state dict of PyTorch; others keep their weights.

    A convolution of a grey image takes the sum of the kernel over the channels, as if all had the same grey value.
    """
    for layer in network.layers:
        if f"{layer.name}.weight" in state:
            names = ("weight", "bias", "running_mean", "running_var")
            tensors = [state[f"{layer.name}.{name}"] for name in names if f"{layer.name}.{name}" in state]
            layer.set_weights([_as_in_keras(tensor, layer) for tensor in tensors])


def _as_in_keras(tensor: NDArray[Any], layer: keras.Layer) -> NDArray[Any]:
    if tensor.ndim != 4:
        return tensor.T
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return tensor.transpose(2, 3, 0, 1)
    kernel = tensor.transpose(2, 3, 1, 0)
    return kernel if layer.kernel.shape[2] == kernel.shape[2] else kernel.sum(axis=2, keepdims=True)


def _tensor(storage: NDArray[Any], offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any) -> NDArray[Any]:
    # A view, which is filled when the storage is read; NumPy refuses one that reaches beyond it.
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage, offset * size, [stride * size for stride in strides])


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a state dict")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, dtype, key, _, count, _ = pid
        return self.storages.setdefault(key, np.zeros(count, dtype))
