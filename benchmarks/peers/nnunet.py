# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["nnunetv2==2.*", "torch==2.13.*"]
# [tool.uv]
# exclude-newer = "2026-11-14T00:00:00Z"
# ///
"""nnU-Net v2 on one fold: its own plan, one of its own short trainers, and its masks of the test images.

    uv run folds --format nnunet nnUNet_raw/Dataset501_BUSI
    uv run --script benchmarks/peers/nnunet.py nnUNet_raw/Dataset501_BUSI masks --fold 0 --trainer nnUNetTrainer_5epochs

nnU-Net verifies the data set, plans its configuration 2d for --memory GB of a GPU, which decides the sizes of patches
and batches, trains it with the splits that were handed out, and predicts the test images of the fold as in its
cross-validation, but without mirroring, which takes four times as long. Its own plan is for 8 GB and its trainer,
nnUNetTrainer, takes 1,000 epochs of 250 iterations, so name both beside each figure. nnU-Net's files go to
nnUNet_preprocessed and nnUNet_results, beside the folder that holds the data set. Writes a new folder `masks` with
`<id>.png` for each test image, lesions 1, on the native grid, and masks.json, which says how it was trained.
`uv run --script` makes an environment of its own; the project needs neither nnU-Net nor PyTorch.
"""

import argparse
import json
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path

CONFIGURATION = "2d"


def set_folders(data: Path, threads: int) -> Path:
    """Tell nnU-Net its folders, before it is imported; return that of the preprocessed data set."""
    raw = data.resolve().parent
    preprocessed, results = (raw.with_name(f"nnUNet_{name}") for name in ("preprocessed", "results"))
    os.environ |= {"nnUNet_raw": str(raw), "nnUNet_preprocessed": str(preprocessed), "nnUNet_results": str(results)}
    # As few processes as it can do with, and none of them compiles.
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f"}
    os.environ |= {"OMP_NUM_THREADS": str(threads)}
    return preprocessed / data.name


def prepare(data: Path, preprocessed: Path, plans: str, memory: float) -> None:
    """Verify, plan and preprocess the data set, and give it the splits that were handed out."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (  # noqa: PLC0415  the folders are set first
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    number = int(data.name.removeprefix("Dataset")[:3])
    extract_fingerprints([number], num_processes=1, check_dataset_integrity=True)
    plan_experiments([number], gpu_memory_target_in_gb=memory, overwrite_plans_name=plans)
    preprocess([number], plans, configurations=(CONFIGURATION,), num_processes=(1,))
    shutil.copyfile(data / "splits_final.json", preprocessed / "splits_final.json")


def train(arguments: argparse.Namespace, plans: str) -> Path:
    """Train a fold, predict its test images, and return the folder of their masks."""
    import torch  # noqa: PLC0415
    from nnunetv2.run.run_training import get_trainer_from_args  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    trainer = get_trainer_from_args(
        arguments.data.name, CONFIGURATION, arguments.fold, arguments.trainer, plans, device=torch.device("cpu")
    )
    trainer.run_training()
    trainer.inference_allowed_mirroring_axes = None
    trainer.perform_actual_validation()
    return Path(trainer.output_folder) / "validation"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that `folds --format nnunet` wrote")
    parser.add_argument("masks", type=Path, help="the folder to make")
    for name, value in {
        "fold": 0,
        "trainer": "nnUNetTrainer_5epochs",
        "memory": 8.0,
        "threads": 1,
        "seed": 2020,
    }.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help="(%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Prepare, train and predict as the command line says."""
    arguments = parse()
    arguments.masks.mkdir(parents=True)
    preprocessed = set_folders(arguments.data, arguments.threads)
    plans = f"plans{arguments.memory:g}"
    # Another fold of it was trained already.
    if not (preprocessed / f"{plans}_{CONFIGURATION}").exists():
        prepare(arguments.data, preprocessed, plans, arguments.memory)
    start = time.process_time()
    predicted = train(arguments, plans)
    for mask in sorted(predicted.glob("*.png")):
        shutil.copyfile(mask, arguments.masks / mask.name)
    record = {
        "network": "nnU-Net v2, configuration 2d",
        **{name: value for name, value in vars(arguments).items() if not isinstance(value, Path)},
        "processor seconds of training and prediction": round(time.process_time() - start),
        "versions": {name: version(name) for name in ("nnunetv2", "torch")},
    }
    beside = arguments.masks.with_name(f"{arguments.masks.name}.json")
    beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
