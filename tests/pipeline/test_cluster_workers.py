"""Real schedulers and workers that are missing, go, come later, or must not compute."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, attempt, dvc, run, write_params
from dask_processes import Start, kill, processes, start_scheduler, start_workers, under_way

from breast_ultrasound.cases.images import read_grey, write_png
from breast_ultrasound.pipeline import cluster
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError

Cluster = tuple[str, Path, Start]


@pytest.fixture
def start() -> Iterator[Start]:
    """What starts processes that end with the test."""
    with processes() as started:
        yield started


@pytest.fixture(scope="module")
def idle_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler whose workers come and go with each test."""
    with processes() as start:
        yield start_scheduler(start, tmp_path_factory.mktemp("idle"))[0]


@pytest.fixture
def empty(idle_scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> Cluster:
    """A scheduler without a worker, an empty folder, the working directory of the test, and what starts workers."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", idle_scheduler)
    return idle_scheduler, folder, start


def test_an_address_without_a_scheduler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"^DASK_SCHEDULER_ADDRESS tcp://127\.0\.0\.1:9: no scheduler answers"):
        list(map_on_all_machines(str, range(3)))


def test_a_cluster_without_a_worker_is_refused(empty: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ARRIVAL", 1)
    with pytest.raises(UserError, match="has no worker"):
        list(map_on_all_machines(str, range(3)))


def test_the_end_of_all_workers_is_an_error(empty: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder, start = empty
    start_workers(start, address, folder)
    results = map_on_all_machines(lambda item: os.getpid() if not item else time.sleep(60), range(3))
    os.kill(int(next(results) or 0), signal.SIGKILL)
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with pytest.raises(UserError, match="no worker is left"):
        list(results)


def refused(work: Callable[[int], object] = str) -> str:
    """What a cluster that must not work says, which has done nothing by then."""
    done = Path("done")

    def note(item: int) -> object:
        done.touch()
        return work(item)

    with pytest.raises(UserError) as raised:
        list(map_on_all_machines(note, range(3)))
    assert not done.exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_other_code_is_refused(empty: Cluster, tmp_path: Path) -> None:
    address, folder, start = empty
    for name in ("breast_ultrasound", "stages", "versions.yaml"):
        source, copy = ROOT / name, tmp_path / "other" / name
        shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy)
    with (tmp_path / "other" / "stages" / "audit.py").open("a") as file:
        file.write("# Another version.\n")
    start_workers(start, address, folder, PYTHONPATH=str(tmp_path / "other"))
    assert "it runs other code of this project" in refused()


def test_other_versions_are_refused(empty: Cluster, tmp_path: Path) -> None:
    address, folder, start = empty
    (tmp_path / "numpy-1.0.dist-info").mkdir()
    (tmp_path / "numpy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    start_workers(start, address, folder, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert f"it has numpy 1.0 instead of {np.__version__}." in refused()


def test_a_worker_that_joins_later_is_checked_as_well(empty: Cluster, tmp_path: Path) -> None:
    address, folder, start = empty
    start_workers(start, address, folder)
    results = map_on_all_machines(lambda item: time.sleep(0.1), range(1000))
    next(results)
    (tmp_path / "elsewhere").mkdir()
    start_workers(start, address, tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"worker tcp://127.*: it works in .*elsewhere\. Start it in"):
        list(results)


@pytest.mark.parametrize("hidden", ["folder", "file"])
def test_storage_that_a_worker_does_not_see_is_refused(empty: Cluster, tmp_path: Path, hidden: str) -> None:
    if attempt(tmp_path, "unshare", "--map-root-user", "--mount", "true").returncode:
        pytest.skip("this machine lets nobody mount a disk: unshare --map-root-user --mount fails")
    address, folder, start = empty
    (folder / "scans").mkdir()
    write_png(folder / "scans" / "scan.png", np.zeros((8, 8), np.uint8))
    mounted = folder if hidden == "folder" else folder / "scans"
    script = f"mount -t tmpfs tmpfs '{mounted}' && cd '{folder}' && exec \"$@\""
    shell = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    start_workers(start, address, folder, before=shell)
    if hidden == "folder":
        assert f"its {folder} is another folder than the one here" in refused()
    else:
        with pytest.raises(UserError, match=r"^scans/scan\.png: cannot be read \(No such file.*On the worker tcp"):
            list(map_on_all_machines(read_grey, [Path("scans/scan.png")]))


PREPARE = (sys.executable, "-m", "stages.prepare")


def start_preparing(folder: Path, phantom: Path, address: str) -> tuple[subprocess.Popen[str], Callable[[], None]]:
    """The stage `prepare` on a cluster, of a phantom whose images are named a hundred times over, once it has written
    some, and what names them once from then on.
    """
    shutil.copytree(phantom, folder / "data/raw")
    write_params(folder)
    table = pd.read_csv(phantom / "cases.csv")
    pd.concat([table] * 100).to_csv(folder / "data/raw/cases.csv", index=False)
    variables = os.environ | {"PYTHONPATH": str(ROOT), "DASK_SCHEDULER_ADDRESS": address}
    # The seconds for which a scheduler that went is sought.
    variables |= {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
    # Where the tests run in the background of a shell, they ignore Ctrl-C, and so would it.
    command = ("env", "--default-signal=INT", *PREPARE)
    preparing = subprocess.Popen(
        command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    images = folder / "data" / ".partial-prepared" / "images.npy"
    while not images.exists() or images.stat().st_size < 10_000:
        assert preparing.poll() is None
        time.sleep(0.01)
    return preparing, lambda: table.to_csv(folder / "data/raw/cases.csv", index=False)


def assert_nothing_is_left(folder: Path) -> None:
    assert [path.name for path in (folder / "data").iterdir()] == ["raw"]
    assert not list(folder.glob(".partial-*"))


def test_a_scheduler_that_goes_leaves_nothing_and_the_next_run_goes_on(
    start: Start, raw_phantom: Path, tmp_path: Path
) -> None:
    address, scheduler = start_scheduler(start, tmp_path)
    start_workers(start, address, tmp_path)
    preparing, shorten = start_preparing(tmp_path, raw_phantom, address)
    kill(scheduler)
    _, printed = preparing.communicate(timeout=90)
    assert preparing.returncode == 1
    assert printed.splitlines()[-1].startswith(f"error: the cluster at {address}: the scheduler is gone.")
    assert "Traceback" not in printed
    assert_nothing_is_left(tmp_path)
    shorten()
    run(tmp_path, *PREPARE, PYTHONPATH=str(ROOT))
    assert np.load(tmp_path / "data/prepared/images.npy").shape[0] == 20


def test_ctrl_c_leaves_nothing_and_frees_the_workers_for_the_next_run(empty: Cluster, raw_phantom: Path) -> None:
    address, folder, start = empty
    start_workers(start, address, folder)
    preparing, shorten = start_preparing(folder, raw_phantom, address)
    os.killpg(preparing.pid, signal.SIGINT)
    _, printed = preparing.communicate(timeout=30)
    assert (preparing.returncode, printed.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    assert_nothing_is_left(folder)
    shorten()
    run(folder, *PREPARE, PYTHONPATH=str(ROOT), DASK_SCHEDULER_ADDRESS=address)
    assert under_way(address) == 0
    assert np.load(folder / "data/prepared/images.npy").shape[0] == 20


def test_the_stages_leave_a_run_as_it_is(working_copy: Path, start: Start) -> None:
    address, _ = start_scheduler(start, working_copy.parent)
    start_workers(start, address, working_copy, PYTHONPATH=str(working_copy))
    for stage in ("prepare", "audit", "evaluate", "report"):
        run(working_copy, sys.executable, "-m", f"stages.{stage}", DASK_SCHEDULER_ADDRESS=address)
    assert "Data and pipelines are up to date" in dvc(working_copy, "status")
