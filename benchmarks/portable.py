"""Which bytes this machine makes of the phantom in portable arithmetic, as a row of docs/explanation/same-bytes.md.

    uv run python benchmarks/portable.py

Runs the stages from `download` to `predict` in a temporary folder, by params.yaml but with few images and two epochs,
and prints the processor, its caches and cores, and the first eight hexadecimal digits of the SHA-256 of what each stage
wrote. Takes about two minutes on two cores.
"""

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
STAGES = ("download", "prepare", "audit", "split", "train --fold 0", "predict --fold 0")
# What is hashed together, in the order of the columns.
WRITTEN = (
    ("data/raw",),
    ("data/prepared",),
    ("data/groups.csv", "data/folds.csv"),
    ("models/fold-0.keras",),
    ("data/predictions",),
)
CHANGED = {
    "data": {"phantom_images": 60},
    "split": {"run": [0]},
    "hardware": {"device": "auto", "precision": "auto", "arithmetic": "portable"},
    "train": {"epochs": 2},
}


def run_stages(folder: Path) -> None:
    """Run the stages in a folder."""
    for name in ("stages", "breast_ultrasound", "dvc.yaml", "versions.yaml"):
        (folder / name).symlink_to(ROOT / name)
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, keys in CHANGED.items():
        values[section] |= keys
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    for stage in STAGES:
        command = [sys.executable, "-m", *f"stages.{stage}".split()]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)


def digest(folder: Path, written: Iterable[str]) -> str:
    """Return the hash of files, and of all files of folders, with their names."""
    total = hashlib.sha256()
    for name in written:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                total.update(f"{file.relative_to(folder).as_posix()} {len(file.read_bytes())}\n".encode())
                total.update(file.read_bytes())
    return total.hexdigest()[:8]


def processor() -> str:
    """Return the name of the processor and the widest instructions of it that decide on bytes."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if re.search(rf"\b{flag}\b", info)]
    return f"{name[1] if name else platform.machine()}, {wide[-1] if wide else 'no AVX2'}"


def caches() -> str:
    """Return the sizes of the data caches of the first core, the smallest first."""
    levels = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    data = [level for level in levels if (level / "type").read_text().strip() != "Instruction"]
    return " / ".join((level / "size").read_text().strip() for level in data) or "unknown"


def main() -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as name:
        run_stages(Path(name))
        hashes = [f"`{digest(Path(name), written)}`" for written in WRITTEN]
    print("|", " | ".join([processor(), caches(), str(os.cpu_count()), *hashes]), "|")


if __name__ == "__main__":
    main()
