"""The same bytes whatever instructions a processor has: every stage of a tiny run, under several settings."""

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT, attempt, write_params

# The instructions that OpenCV, NumPy, OpenBLAS, oneDNN and IPP are held to, as older processors would.
SETTINGS = {
    "all that this processor has": {},
    "AVX2": {
        "OPENCV_CPU_DISABLE": "AVX512-SKX",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Haswell",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENCV_IPP": "avx2",
    },
    "AVX2, other matrix products": {
        "OPENCV_CPU_DISABLE": "AVX512-SKX",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR X86_V3",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "ONEDNN_MAX_CPU_ISA": "AVX",
        "OPENCV_IPP": "sse42",
    },
}
# Each line runs in a process of its own: TensorFlow takes the number of threads before it computes anything.
STAGES = (
    ("download", "prepare", "audit", "split"),
    ("train --fold 0", "predict --fold 0", "evaluate", "export --format onnx", "external", "report"),
)
RUN = """
import importlib, sys
for stage in sys.argv[1:]:
    name, *sys.argv[1:] = stage.split()
    importlib.import_module(f"stages.{name}").main()
"""


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file that the stages wrote."""
    files = [path for part in ("data", "models", "metrics") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run_stages(folder: Path, setting: dict[str, str]) -> dict[str, str]:
    """Run every stage in a folder under a setting, and return what `hashes` does."""
    for name in ("stages", "breast_ultrasound", "dvc.yaml", "versions.yaml"):
        (folder / name).symlink_to(ROOT / name)
    write_params(
        folder,
        audit={"sweep": 0.075},
        split={"run": [0]},
        export={"folds": None},
        hardware={"arithmetic": "portable"},
        train={"epochs": 1},
        data={"phantom_images": 20},
    )
    for stages in STAGES:
        done = attempt(folder, sys.executable, "-c", RUN, *stages, **setting)
        assert done.returncode == 0, done.stderr
    return hashes(folder)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="portable arithmetic is promised on Linux alone")
def test_every_stage_writes_the_same_bytes_whatever_instructions_there_are(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in SETTINGS]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        first, *others = pool.map(run_stages, folders, SETTINGS.values())
    assert len(first) > 60
    for name, other in zip(list(SETTINGS)[1:], others, strict=True):
        assert [path for path in first | other if first.get(path) != other.get(path)] == [], name
