"""Work on a real cluster of two workers: the same results as here, also where workers die or the command is stopped."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from dask_processes import processes, start_scheduler, start_workers, under_way
from onnx_network import write_dark_network
from scan_files import clip_bytes, dicom_bytes, scan_image

from breast_ultrasound.auditing.search import collect, find_near_duplicates
from breast_ultrasound.cases.images import read_grey, write_png
from breast_ultrasound.cases.raw import read_cases
from breast_ultrasound.commands.segment import command as segment
from breast_ultrasound.pipeline.engine import map_on_all_cores, map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.case_table import copy_table
from breast_ultrasound.sources.manifest import digests


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a cluster of two workers, started anew where they die, and the folder in which they work."""
    folder = tmp_path_factory.mktemp("cluster")
    with processes() as start:
        address, _ = start_scheduler(start, folder)
        start_workers(start, address, folder, "--nworkers", "2", "--memory-limit", "600MB")
        yield address, folder


@pytest.fixture
def on_cluster(running: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cluster, as the working directory of a test whose work goes there."""
    address, folder = running
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    return folder


@pytest.fixture(scope="module")
def phantom(running: tuple[str, Path], raw_phantom: Path) -> Path:
    """A phantom where the workers see it, relative to the folder in which they work."""
    shutil.copytree(raw_phantom, running[1] / "data/raw")
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
