"""Train the attention U-Net of one fold: `python -m stages.train --fold 0`.

Writes models/fold-0.keras, the moving average of the weights at the epoch of the best validation lesion Dice, or where
no images validate, at the last epoch; and data/histories/fold-0 with a curve for each figure and record.json: device,
versions, images and number of weights. Seconds and images per second, which differ from run to run, go to
logs/train-fold-0.log. A training that is stopped, however abruptly, goes on from the last finished epoch when it is run
again, and ends with the same bytes. Several processes that `breast_ultrasound/training/processes.py` joins train one
network, and the first one writes.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from dvclive.live import Live
from numpy.typing import NDArray

from breast_ultrasound.cases.folds import read_fold, read_folds, subsets
from breast_ultrasound.cases.prepared import PREPARED, Prepared
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.device import Device, Hardware
from breast_ultrasound.network.unet import Network
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write, write_json
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training.batches import Batches
from breast_ultrasound.training.callbacks import Progress
from breast_ultrasound.training.checkpoint import CheckpointFile, training_key
from breast_ultrasound.training.devices import shard_of_batches
from breast_ultrasound.training.fitting import FoldBatches, fit
from breast_ultrasound.training.history import RECORD, history
from breast_ultrasound.training.processes import Processes, joined
from breast_ultrasound.training.settings import TrainingSettings

PIPELINE = Path("dvc.yaml")
LOGS = Path("logs")


class Params(TrainingSettings):
    """What this stage reads of params.yaml."""

    hardware: Hardware


def check_grid(size: int, network: Network) -> None:
    """Refuse a grid that the network cannot halve as often as it has levels."""
    if size % network.stride:
        raise UserError(
            f"prepare.side: {size} must be a multiple of the stride of the network's deepest level, {network.stride}: "
            "network.stem · 2^(network.depth - 1) without an encoder, 32 with one"
        )


def rows_of_fold(fold: int, prepared: Prepared) -> dict[str, NDArray[np.int64]]:
    """Return the rows of the images that train and of those that validate; refuse it where none of these has a lesion.

    There may be no images that validate.
    """
    subset = subsets(read_folds(), fold)
    rows = {name: np.flatnonzero(subset == name) for name in ("train", "validation")}
    if len(rows["validation"]) and not prepared.masks[rows["validation"]].any():
        raise UserError(f"fold {fold}: no lesion among its validation images. Lower split.folds or add images.")
    return rows


def key_of(params: Params, hardware: Device) -> str:
    """Return a key of all that a training depends on: what dvc.yaml declares, the hardware and the versions."""
    stage = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]["train"]
    values = [params.model_dump(), asdict(hardware), device.versions()]
    weights = params.network.weights
    files = [*stage["deps"], *([model_files.weights_file(weights)] if weights else [])]
    return training_key(values, [Path(name) for name in files])


def record(hardware: Device, weights: int, images: dict[str, int]) -> dict[str, Any]:
    """Return what record.json holds of a network of so many weights, trained on some hardware and images."""
    return {
        "device": {"kind": hardware.kind, "name": hardware.name, "count": hardware.count},
        "precision": hardware.precision,
        "versions": device.versions(),
        "weights": weights,
        "images": images,
    }


def train_fold(fold: int, params: Params, processes: Processes) -> None:
    """Train one fold, as one of some processes, and write what this stage writes where it is the first of them."""
    hardware = device.configure_training(params.hardware, params.seed)
    key = key_of(params, hardware)
    processes.check_same(f"fold {fold}, {key}")
    prepared = Prepared.open(PREPARED)
    check_grid(prepared.size, params.network)
    rows = rows_of_fold(fold, prepared)
    batch, shard = params.train.batch, shard_of_batches(params.train.batch, hardware, processes)
    batches = FoldBatches(
        training=Batches(prepared, rows["train"], batch, params.seed, shard),
        validation=Batches(prepared, rows["validation"], batch, shard=shard) if len(rows["validation"]) else None,
    )
    unfinished = CheckpointFile(Path(f"models/fold-{fold}.checkpoint"), key, processes)
    if not processes.first:
        fit(params, batches, hardware, Progress(batches.training), unfinished)
        return
    LOGS.mkdir(exist_ok=True)
    with (
        atomic_write(history(fold)) as folder,
        Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live,
    ):
        progress = Progress(batches.training, live, LOGS / f"train-fold-{fold}.log")
        network = fit(params, batches, hardware, progress, unfinished)
        images = {name: len(members) for name, members in rows.items()}
        write_json(folder / RECORD, record(hardware, network.count_params(), images))
    with atomic_write(model_files.model_file(fold)) as aside:
        model_files.save(network, aside)
    unfinished.remove()


@command
def main() -> None:
    """Train one fold."""
    fold, params = read_fold(__doc__ or ""), load(Params)
    with joined() as processes:
        train_fold(fold, params, processes)


if __name__ == "__main__":
    main()
