import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HELD = """
import os
from breast_ultrasound.pipeline.tensorflow_start import held_stderr
with held_stderr():
    os.write(2, b"low level\\n")
    {}
os.write(2, b"after\\n")
"""


def written(code: str, **environment: str) -> tuple[str, int]:
    """Run Python code in a process of its own; return what it wrote to its standard error, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return done.stderr, done.returncode


@pytest.mark.parametrize(
    "code",
    [
        "import breast_ultrasound.network.device, keras; keras.ops.ones(3)",
        "import breast_ultrasound.training.augment as augment; augment.ops.ones(3)",
    ],
)
def test_tensorflow_starts_in_silence_whatever_module_imports_it_first(code: str) -> None:
    assert written(code, KERAS_BACKEND="tensorflow") == ("", 0)


def test_what_a_failing_import_of_tensorflow_wrote_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no AVX\\n'); raise ImportError('broken')")
    printed, code = written("import breast_ultrasound, tensorflow", PYTHONPATH=str(tmp_path))
    assert code == 1
    assert printed.startswith("no AVX")
    assert "ImportError: broken" in printed


def test_what_a_body_writes_is_dropped_where_it_succeeds() -> None:
    assert written(HELD.format("pass")) == ("after\n", 0)


def test_what_a_body_writes_is_written_out_where_it_raises() -> None:
    printed, code = written(HELD.format("raise ValueError('wrong')"))
    assert code == 1
    assert printed.startswith("low level")
    assert "ValueError: wrong" in printed


def test_what_a_body_writes_is_written_out_where_a_signal_ends_the_process() -> None:
    assert written(HELD.format("os.abort()")) == ("low level\n", -signal.SIGABRT)
