"""What is left after a kill, on a full disk or in a folder that may not be written to."""

import os
import shutil
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


def test_a_training_goes_on_where_it_was_killed_and_ends_with_the_same_bytes(git_clone: Path) -> None:
    for output in ("data/.partial-raw", "data/.partial-prepared", "models/fold-0.checkpoint"):
        kill_repro(git_clone, (git_clone / output).exists, "train@0")
    assert "models/fold-0.checkpoint: going on after 1 epochs" in dvc(git_clone, "repro", "train@0")
    assert run(git_clone, "git", "status", "--porcelain") == ""
    assert not list(git_clone.rglob(".partial-*")) + list(git_clone.rglob("*.checkpoint"))


def test_an_evaluation_that_is_killed_is_done_again(clone: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(clone, tmp_path / "copy")
    # It writes this one first, and the scores later.
    fitted = copy / "metrics/postprocess.json"
    fitted.unlink()
    kill_repro(copy, fitted.exists, "evaluate")
    dvc(copy, "repro")
    assert run(copy, "git", "status", "--porcelain") == ""


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


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    on_small_disk: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = on_small_disk(f"sed -i 's/size: 64/size: 1024/' params.yaml && {PREPARE}; echo ended $? && ls -A data")
    assert done.stdout.split() == ["ended", "1", "raw"]
    assert done.stderr.splitlines()[-1].startswith("error: data/prepared: could not be made ([Errno 28] No space left")
    assert "Traceback" not in done.stderr


def test_a_read_only_folder_is_told(on_small_disk: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    done = on_small_disk(f"mount -o remount,ro . && {PREPARE}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: data/prepared: could not be made ([Errno 30] Read-only")
    assert "Traceback" not in done.stderr
