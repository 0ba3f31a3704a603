"""One network trained by several processes, each in a folder of its own as on machines of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, MadeOnce
from test_train import curve, disks, tiny_settings

from breast_ultrasound.cases.prepared import IMAGES, INDEX, MASKS
from breast_ultrasound.network.model_files import load
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.training.processes import ALONE, Processes, joined

HISTORY = Path("data/histories/fold-0")
CHECKPOINT = Path("models/fold-0.checkpoint")


@pytest.fixture(scope="session")
def alone(made_once: MadeOnce) -> Path:
    """A training by one process on one device."""
    pytest.importorskip("jax", reason="JAX is missing: uv run --extra jax pytest")

    def train(folder: Path) -> None:
        make_folder(folder)
        ended(start(folder))

    return made_once("alone", train)


def make_folder(folder: Path) -> None:
    """What a training reads: code, params, small data. Validation has seven images, which no batch of four divides."""
    (folder / "data/prepared").mkdir(parents=True)
    (folder / "stages").symlink_to(ROOT / "stages")
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = tiny_settings(epochs=4).model_dump(mode="json")
    params["hardware"] = {"device": "cpu", "precision": "float32", "arithmetic": "native"}
    params["network"] |= {"depth": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    prepared = disks()
    np.save(folder / "data/prepared" / IMAGES, prepared.images)
    np.save(folder / "data/prepared" / MASKS, prepared.masks)
    prepared.index.to_csv(folder / "data/prepared" / INDEX, index=False)
    pd.DataFrame({"fold": [0] * 2 + [1] * 7 + [2] * 15, "validation": [2] * 2 + [0] * 7 + [1] * 15}).to_csv(
        folder / "data/folds.csv", index=False
    )


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a training in a folder, compiled with as little effort as JAX can, once for all processes and starts."""
    cheap = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled")}
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train", "--fold", "0"],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": "jax"} | cheap | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_all(folders: list[Path]) -> list[subprocess.Popen[str]]:
    """Start a process in each folder, in the first one process 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(
            folder,
            KERAS_DISTRIBUTION_JOB_ADDRESSES=address,
            KERAS_DISTRIBUTION_NUM_PROCESSES=str(len(folders)),
            KERAS_DISTRIBUTION_PROCESS_ID=str(number),
        )
        for number, folder in enumerate(folders)
    ]


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a process printed, which has to end with a code."""
    try:
        printed, _ = process.communicate(timeout=900)
    finally:
        # Where it has not ended in time; the others of its training end with it.
        process.kill()
    assert process.returncode == code, printed
    return printed


def assert_same_training(folder: Path, alone: Path) -> None:
    """The curves and the network in `folder` are those of one process, but for rounding."""
    for name in ("loss", "val_loss", "val_lesion_dice", "val_class_accuracy"):
        measured, expected = (curve(path / HISTORY, name).to_numpy() for path in (folder, alone))
        assert measured == pytest.approx(expected, rel=1e-4), name
    weights, expected = (load(path / "models/fold-0.keras").get_weights() for path in (folder, alone))
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(weights, expected, strict=True))


def in_folders(parent: Path, count: int) -> list[Path]:
    """What each of some processes reads, in a folder of its own."""
    folders = [parent / str(number) for number in range(count)]
    for folder in folders:
        make_folder(folder)
    return folders


def test_four_processes_train_as_one_and_the_first_writes(alone: Path, tmp_path: Path) -> None:
    folders = in_folders(tmp_path, 4)
    for process in start_all(folders):
        ended(process)
    assert_same_training(folders[0], alone)
    assert not any((folder / name).exists() for folder in folders[1:] for name in ("models", "logs", HISTORY))


def test_where_one_is_killed_the_others_end_and_go_on_after_the_last_finished_epoch(
    alone: Path, tmp_path: Path
) -> None:
    folders = in_folders(tmp_path, 2)
    first, second = start_all(folders)
    while not (folders[0] / CHECKPOINT).exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.005)
    second.kill()
    ended(second, code=-signal.SIGKILL)
    assert "error: process 0 of 2: broke off, most likely since another one ended" in ended(first, code=1)
    assert not (folders[0] / HISTORY).exists()
    for process in start_all(folders):
        assert "going on after" in ended(process)
    assert_same_training(folders[0], alone)
    assert not (folders[0] / CHECKPOINT).exists()


def test_one_process_uses_all_devices_of_its_machine(alone: Path, tmp_path: Path) -> None:
    (folder,) = in_folders(tmp_path, 1)
    ended(start(folder, XLA_FLAGS="--xla_force_host_platform_device_count=2"))
    assert json.loads((folder / HISTORY / "record.json").read_text())["device"]["count"] == 2
    assert_same_training(folder, alone)


@pytest.mark.usefixtures("alone")
def test_a_batch_that_the_devices_cannot_divide_is_refused(tmp_path: Path) -> None:
    (folder,) = in_folders(tmp_path, 1)
    printed = ended(start(folder, XLA_FLAGS="--xla_force_host_platform_device_count=3"), code=1)
    assert "error: train.batch: 4 must be a multiple of the number of devices, 3" in printed


@pytest.mark.usefixtures("alone")
def test_processes_with_other_params_are_refused_by_all(tmp_path: Path) -> None:
    folders = in_folders(tmp_path, 2)
    params = yaml.safe_load((folders[1] / "params.yaml").read_text())
    (folders[1] / "params.yaml").write_text(yaml.safe_dump(params | {"seed": 7}))
    for process in start_all(folders):
        assert "error: process 1: not the fold, params, data, code, versions or hardware" in ended(process, code=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("10.0.0.1:1234", "2", ""), "PROCESS_ID: not set"),
        (("", "2", "0"), "JOB_ADDRESSES: not set"),
        (("10.0.0.1:1234", "2", "2"), "PROCESS_ID: 2 must be a number from 0 up to below"),
        (("10.0.0.1:1234", "two", "1"), "NUM_PROCESSES, two"),
        (("10.0.0.1", "2", "1"), "JOB_ADDRESSES: 10.0.0.1 must be"),
        (("10.0.0.1:1234,10.0.0.2:1234", "3", "1"), "JOB_ADDRESSES: 10.0.0.1:1234,10.0.0.2:1234 must be"),
    ],
)
def test_variables_that_do_not_fit_together_are_refused(
    values: tuple[str, str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"), values, strict=True):
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(UserError, match=message), joined():
        pass


def test_another_backend_than_jax_is_refused_and_none_named_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with joined() as processes:
        assert processes is ALONE == Processes(1, 0)
    for name, value in (("JOB_ADDRESSES", "10.0.0.1:1234"), ("NUM_PROCESSES", "2"), ("PROCESS_ID", "0")):
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(UserError, match="on JAX alone"), joined():
        pass
