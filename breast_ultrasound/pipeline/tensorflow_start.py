"""The start of TensorFlow: its settings, and its silence where it succeeds.

TensorFlow writes of its build, of missing GPUs and of rounding to file descriptor 2, past every setting of its logging.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def prepare_tensorflow() -> None:
    """Set the variables that TensorFlow reads, and make its first import silent, whatever module that is in."""
    # TensorFlow leaves its oneDNN kernels off on processors without AVX-512, where they train 1.6 times as fast.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietImport())


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what the body writes to file descriptor 2, C++ code included, and drop it where the body succeeds.

    A process of its own holds it, and writes it out where the body raises or a signal ends this process.
    """
    original = os.dup(2)
    holder = subprocess.Popen(_HOLDER, stdin=subprocess.PIPE, stdout=original, stderr=subprocess.DEVNULL)
    assert holder.stdin
    os.dup2(holder.stdin.fileno(), 2)
    try:
        yield
        holder.kill()
    finally:
        os.dup2(original, 2)
        os.close(original)
        holder.stdin.close()
        holder.wait()


# Reads all there is before it writes.
_HOLDER = (sys.executable, "-I", "-S", "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")


class _QuietImport(MetaPathFinder):
    """A finder that finds TensorFlow where the others do, once, and loads it in silence."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with held_stderr():
            self._loader.exec_module(module)
            # The first look for devices writes where there is no GPU.
            module.config.list_physical_devices()
