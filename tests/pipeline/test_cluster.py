"""Real schedulers and workers, as processes on loopback."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, attempt, dvc, run, write_params
from distributed import Client
from onnx_network import write_dark_network
from scan_files import clip_bytes, dicom_bytes, scan_image

from breast_ultrasound.auditing.search import collect, find_near_duplicates
from breast_ultrasound.cases.images import read_grey, write_png
from breast_ultrasound.cases.raw import read_cases, write_table
from breast_ultrasound.commands.segment import command as segment
from breast_ultrasound.pipeline import cluster
from breast_ultrasound.pipeline.engine import map_on_all_cores, map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.case_table import copy_table
from breast_ultrasound.sources.manifest import digests
from breast_ultrasound.sources.phantom import write_phantom

DASK = (sys.executable, "-m", "dask")
Process = subprocess.Popen[bytes]
Start = Callable[..., Process]
Cluster = tuple[str, Path, Start]


@contextlib.contextmanager
def processes() -> Iterator[Start]:
    """What starts a process in a folder, with this project's code; all are killed at the end."""
    started: list[Process] = []

    def start(folder: Path, *command: str, **environment: str) -> Process:
        variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
        # A group of its own, since a worker has a nanny.
        with (folder / f"process-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=variables, stderr=log, start_new_session=True)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            kill(process)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """What starts processes that end with the module."""
    with processes() as started:
        yield started


def kill(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    if number == signal.SIGKILL:
        process.wait()


def start_scheduler(start: Start, folder: Path) -> tuple[str, Process]:
    file = folder / "scheduler.json"
    once_more = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    options = (
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(file),
        "--idle-timeout",
        "300s",
    )
    process = start(folder, *DASK, "scheduler", *options, **once_more)
    while not file.exists() or not file.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    return json.loads(file.read_text())["address"], process


def start_workers(
    start: Start, address: str, folder: Path, *options: str, before: tuple[str, ...] = (), **environment: str
) -> Process:
    """Start workers of one thread each in a folder, one by default, and wait until they are there."""
    fixed = ("--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
    process = start(folder, *before, *DASK, "worker", address, *fixed, *(options or ("--no-nanny",)), **environment)
    with Client(address, timeout=60, set_as_default=False) as client:
        running = len(client.scheduler_info()["workers"])
        if "--nworkers" in options or not running:
            client.wait_for_workers(2 if "--nworkers" in options else 1, timeout=120)
    return process


@pytest.fixture(scope="module")
def running(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The address of a cluster of two workers, started anew where they die, and the folder in which they work."""
    folder = tmp_path_factory.mktemp("cluster")
    address, _ = start_scheduler(start, folder)
    start_workers(start, address, folder, "--nworkers", "2", "--memory-limit", "600MB")
    return address, folder


@pytest.fixture
def on_cluster(running: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cluster, as the working directory of a test whose work goes there."""
    address, folder = running
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    return folder


@pytest.fixture(scope="module")
def idle_scheduler(start: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A scheduler whose workers come and go with each test."""
    return start_scheduler(start, tmp_path_factory.mktemp("idle"))[0]


@pytest.fixture
def empty(idle_scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A scheduler without a worker, an empty folder, the working directory of the test, and what starts workers, which
    end with the test.
    """
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", idle_scheduler)
    with processes() as start:
        yield idle_scheduler, folder, start


@pytest.fixture(scope="module")
def phantom(running: tuple[str, Path]) -> Path:
    """A phantom where the workers see it, relative to the folder in which they work."""
    raw = running[1] / "data" / "raw"
    raw.mkdir(parents=True)
    write_table(raw, write_phantom(raw, 20, seed=3))
    return Path("data/raw")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_are_those_of_the_threads_in_their_order_from_other_processes(on_cluster: Path) -> None:
    def work(item: int) -> tuple[int, int]:
        time.sleep(0.01 * (item % 3))
        return item**2, os.getpid()

    results = list(map_on_all_machines(work, iter(range(40)), "square", 40))
    assert [square for square, _ in results] == [square for square, _ in map_on_all_cores(work, range(40))]
    assert len({process for _, process in results}) == 2
    assert os.getpid() not in {process for _, process in results}
    assert not list(on_cluster.glob(".partial-*"))


def test_few_items_are_under_way_at_a_time(on_cluster: Path) -> None:
    taken = []
    results = map_on_all_machines(lambda item: item, (taken.append(item) or item for item in range(1000)))
    assert next(results) == 0
    assert len(taken) <= 8
    del results


def test_the_error_of_an_image_names_the_worker(on_cluster: Path) -> None:
    (on_cluster / "bad.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"^bad\.png: not a readable image.*On the worker tcp://127\.0\.0\.1"):
        list(map_on_all_machines(read_grey, [Path("bad.png")]))


def test_preparing_gives_the_same_bytes(
    on_cluster: Path, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages.prepare import prepare  # noqa: PLC0415

    for name in ("cluster", "threads"):
        (tmp_path / name).mkdir()
        prepare(read_cases(phantom), 64, tmp_path / name)
        monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "threads")


def test_the_checks_and_the_audit_give_the_same(
    on_cluster: Path, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for name in ("cluster", "threads"):
        cases = read_cases(phantom)
        (tmp_path / name).mkdir()
        copied = copy_table(phantom / "cases.csv", tmp_path / name)
        assert [case.id for case in copied] == [case.id for case in cases]
        with tempfile.TemporaryDirectory(dir=".") as folder:
            album, figures = collect(cases, Path(folder))
            pairs = find_near_duplicates(album, figures["digest"].tolist(), 0, Path(folder))
        assert pairs
        runs.append((digests(phantom), pairs, figures))
        monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    assert runs[0][:2] == runs[1][:2]
    pd.testing.assert_frame_equal(runs[0][2], runs[1][2])
    assert contents(tmp_path / "cluster") == contents(tmp_path / "threads")


def test_segmenting_a_folder_of_pictures_and_clips_gives_the_same_files(
    on_cluster: Path, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = on_cluster / "scans"
    shutil.copytree(phantom / "benign", scans / "benign", ignore=shutil.ignore_patterns("*_mask*", "*1?)*"))
    frames = [np.roll(scan_image(), 5 * step, axis=1) for step in range(3)]
    (scans / "clip.avi").write_bytes(clip_bytes(frames, ".avi"))
    (scans / "loop.dcm").write_bytes(dicom_bytes(frames))
    (scans / "damaged.png").write_bytes(b"no image")
    (scans / "broken.avi").write_bytes(b"RIFF1234AVI no clip")
    write_dark_network(on_cluster / "dark.onnx")
    arguments = ("segment", "scans", "--model", "dark.onnx", "--overlay", "--coco", "--output")
    for name in ("cluster", "threads"):
        monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / name)])
        with pytest.raises(SystemExit, match=r"2 of .* images could not be read"):
            segment.main()
        monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    made = contents(tmp_path / "cluster")
    assert made.keys() > {"benign/benign (1)_mask.png", "clip_frames/00003.png", "clip_overlay.mp4"}
    assert made.keys() > {"loop_frames/00003.png", "annotations.json", "findings.csv", "findings.json"}
    assert made == contents(tmp_path / "threads")


def test_the_work_of_a_worker_that_is_killed_is_done_by_another(on_cluster: Path) -> None:
    def work(item: int) -> int:
        if item == 5 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * item

    assert list(map_on_all_machines(work, range(10))) == [2 * item for item in range(10)]
    assert (on_cluster / "killed").exists()


def test_work_for_which_no_worker_has_the_memory_ends_in_one_sentence(on_cluster: Path) -> None:
    def work(item: int) -> int:
        kept = np.ones(item)
        time.sleep(60)
        return int(kept[0])

    with pytest.raises(UserError, match=r"ended 2 workers, one after the other.*--memory-limit"):
        list(map_on_all_machines(work, [100_000_000]))
    assert list(map_on_all_machines(lambda item: 2 * item, range(3))) == [0, 2, 4]


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
    start: Start, phantom: Path, running: tuple[str, Path], tmp_path: Path
) -> None:
    address, scheduler = start_scheduler(start, tmp_path)
    start_workers(start, address, tmp_path)
    preparing, shorten = start_preparing(tmp_path, running[1] / phantom, address)
    kill(scheduler)
    _, printed = preparing.communicate(timeout=90)
    assert preparing.returncode == 1
    assert printed.splitlines()[-1].startswith(f"error: the cluster at {address}: the scheduler is gone.")
    assert "Traceback" not in printed
    assert_nothing_is_left(tmp_path)
    shorten()
    run(tmp_path, *PREPARE, PYTHONPATH=str(ROOT))
    assert np.load(tmp_path / "data/prepared/images.npy").shape[0] == 20


def under_way(address: str) -> int:
    """How many tasks a cluster has, those included that nobody waits for any more."""
    with Client(address, set_as_default=False) as client:
        tasks: Any = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        executing: Any = client.run(lambda dask_worker: len(dask_worker.state.executing))
    return tasks + sum(executing.values())


def test_ctrl_c_leaves_nothing_and_frees_the_workers_for_the_next_run(
    empty: Cluster, phantom: Path, running: tuple[str, Path]
) -> None:
    address, folder, start = empty
    start_workers(start, address, folder)
    preparing, shorten = start_preparing(folder, running[1] / phantom, address)
    os.killpg(preparing.pid, signal.SIGINT)
    _, printed = preparing.communicate(timeout=30)
    assert (preparing.returncode, printed.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    assert_nothing_is_left(folder)
    shorten()
    run(folder, *PREPARE, PYTHONPATH=str(ROOT), DASK_SCHEDULER_ADDRESS=address)
    assert under_way(address) == 0
    assert np.load(folder / "data/prepared/images.npy").shape[0] == 20


def test_segmenting_that_is_stopped_leaves_whole_masks_alone(on_cluster: Path) -> None:
    (on_cluster / "many").mkdir()
    # Large, so that the workers are amidst one when the command stops, and go on with it.
    write_png(on_cluster / "many" / "00.png", np.random.default_rng(0).integers(0, 256, (2000, 2000), np.uint8))
    for number in range(1, 40):
        (on_cluster / "many" / f"{number:02}.png").hardlink_to(on_cluster / "many" / "00.png")
    write_dark_network(on_cluster / "dark.onnx")
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    command = (
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "breast_ultrasound.commands.segment.command",
        "many",
        "--model",
        "dark.onnx",
    )
    segmenting = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
    while not list(on_cluster.glob("segmented/[!.]*.png")):
        assert segmenting.poll() is None
        time.sleep(0.01)
    segmenting.send_signal(signal.SIGINT)
    _, printed = segmenting.communicate(timeout=30)
    assert segmenting.returncode == 1
    assert "error: stopped; " in printed
    while under_way(os.environ["DASK_SCHEDULER_ADDRESS"]):
        time.sleep(0.1)
    made = [path.name for path in (on_cluster / "segmented").iterdir()]
    assert sorted(made)[-2:] == ["findings.csv", "findings.json"]
    assert 3 <= len(made) < 40
    assert not [name for name in made if name.startswith(".")]


def test_the_stages_leave_a_run_as_it_is(working_copy: Path, start: Start) -> None:
    address, _ = start_scheduler(start, working_copy.parent)
    start_workers(start, address, working_copy, PYTHONPATH=str(working_copy))
    for stage in ("prepare", "audit", "evaluate", "report"):
        run(working_copy, sys.executable, "-m", f"stages.{stage}", DASK_SCHEDULER_ADDRESS=address)
    assert "Data and pipelines are up to date" in dvc(working_copy, "status")


def test_dask_is_not_loaded_where_no_cluster_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; from breast_ultrasound.pipeline.engine import map_on_all_machines; "
        "list(map_on_all_machines(str, range(3)));"
        "assert not {'dask', 'distributed', 'yaml', 'breast_ultrasound.pipeline.cluster'} & sys.modules.keys()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DASK_SCHEDULER_ADDRESS"}
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, check=True
    )
