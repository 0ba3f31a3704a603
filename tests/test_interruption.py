"""A run killed again and again in surroundings unlike those of the committed one; full disks and read-only ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import DVC, SOMEBODY, attempt, dvc, run


def kill_repro(folder: Path, moment: Callable[[], bool], *arguments: str) -> None:
    """Start `dvc repro` and kill -9 it with all that it started, as soon as `moment` is true."""
    command, quiet = [*DVC, "repro", *arguments], subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | SOMEBODY, stdout=quiet, stderr=quiet, start_new_session=True
    )
    while not moment():
        assert process.poll() is None, "it has ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def other_surroundings(folder: Path) -> dict[str, str]:
    """Another time zone, locale and hash seed, and a file system that lists every folder the other way round."""
    (folder / "sitecustomize.py").write_text(BACKWARD_LISTING)
    surroundings = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "12345"}
    return surroundings | {"PYTHONPATH": str(folder)}


BACKWARD_LISTING = """
import os

listdir, scandir = os.listdir, os.scandir


class Backward:
    def __init__(self, path="."):
        with scandir(path) as entries:
            self._entries = iter(list(entries)[::-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def close(self):
        pass


os.listdir = lambda path=".": listdir(path)[::-1]
os.scandir = Backward
"""


@pytest.mark.long
def test_a_clone_killed_thrice_makes_the_same_bytes_in_other_surroundings(git_clone: Path, tmp_path: Path) -> None:
    for output in ("data/.partial-raw", "data/.partial-prepared", "models/fold-0.checkpoint"):
        kill_repro(git_clone, (git_clone / output).exists, "train@0")
    assert not (git_clone / "models/fold-0.keras").exists()
    umask = os.umask(0o077)
    try:
        printed = dvc(git_clone, "repro", "--force", **other_surroundings(tmp_path))
    finally:
        os.umask(umask)
    assert "models/fold-0.checkpoint: going on after 1 epochs" in printed
    assert run(git_clone, "git", "status", "--porcelain") == ""
    assert not list(git_clone.rglob(".partial-*")) + list(git_clone.rglob("*.checkpoint"))
    assert (git_clone / "metrics/report.html").stat().st_mode & 0o077 == 0


def test_an_evaluation_that_is_killed_is_done_again(working_copy: Path) -> None:
    # It writes this one first, and the scores later.
    fitted = working_copy / "metrics/postprocess.json"
    fitted.unlink()
    kill_repro(working_copy, fitted.exists, "evaluate")
    dvc(working_copy, "repro")
    assert run(working_copy, "git", "status", "--porcelain") == ""


@pytest.fixture
def on_small_disk(clone: Path, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a shell command in a copy of the clone that lies on a disk of 16 MB."""
    if attempt(tmp_path, "unshare", "--map-root-user", "--mount", "true").returncode:
        pytest.skip("this machine lets nobody mount a disk: unshare --map-root-user --mount fails")
    (tmp_path / "disk").mkdir()

    def execute(command: str) -> subprocess.CompletedProcess[str]:
        copy = f"cp -r {clone}/params.yaml {clone}/stages disk && mkdir disk/data && cp -r {clone}/data/raw disk/data"
        script = f"mount -t tmpfs -o size=16m tmpfs disk && {copy} && cd disk && {command}"
        return attempt(tmp_path, "unshare", "--map-root-user", "--mount", "sh", "-c", script)

    return execute


PREPARE = f"{sys.executable} -m stages.prepare"


def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(
    on_small_disk: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = on_small_disk(f"sed -i 's/side: 64/side: 1024/' params.yaml && {PREPARE}; echo ended $? && ls -A data")
    assert done.stdout.split() == ["ended", "1", "raw"]
    assert done.stderr.splitlines()[-1].startswith(
        "error: data/prepared: could not be written ([Errno 28] No space left"
    )
    assert "Traceback" not in done.stderr


def test_a_read_only_folder_is_an_error(on_small_disk: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    done = on_small_disk(f"mount -o remount,ro . && {PREPARE}")
    assert done.returncode == 1
    message = "error: data/prepared: could not be written ([Errno 30] Read-only"
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
