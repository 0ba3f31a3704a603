# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["monai==1.6.*", "numpy", "pillow", "torch==2.13.*"]
# [tool.uv]
# exclude-newer = "2026-11-14T00:00:00Z"
# ///
"""MONAI's AttentionUnet on one fold: trained on the other folds, and its masks of the test images.

    uv run folds --format monai monai-busi
    uv run --script benchmarks/peers/monai_attention_unet.py monai-busi masks --fold 0 --epochs 20

Loading, augmentation, loss and network are MONAI's, with 16 to 256 channels, on a grid of --size pixels. The weights of
the last epoch predict; nothing is chosen on test images. Writes a new folder `masks` with `<id>.png` for each test
image, lesions white, on the native grid, and masks.json, which says how it was trained. `uv run --script` makes an
environment of its own; the project needs neither MONAI nor PyTorch.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, PILReader, load_decathlon_datalist
from monai.losses import DiceCELoss
from monai.networks.nets import AttentionUnet
from monai.transforms import (
    Compose,
    LoadImaged,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    Resized,
    ScaleIntensityd,
)
from PIL import Image

KEYS = ["image", "label"]
MODES = ["bilinear", "nearest"]
CHANNELS = [16, 32, 64, 128, 256]

Item = dict[str, Any]


def steps(keys: list[str], size: int) -> list[Any]:
    """Return the transforms from the files of an item to arrays [1, size, size], images from 0 to 1."""
    return [
        LoadImaged(keys, reader=PILReader(reverse_indexing=False), ensure_channel_first=True),
        ScaleIntensityd(keys),
        Resized(keys, (size, size), mode=MODES[: len(keys)]),
    ]


def augmentation() -> list[Any]:
    """Return the random transforms of a training item."""
    return [
        RandFlipd(KEYS, prob=0.5, spatial_axis=1),
        RandAffined(KEYS, prob=0.5, rotate_range=0.17, scale_range=(0.2, 0.2), mode=MODES, padding_mode="zeros"),
        RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5)),
    ]


def train(items: list[Item], arguments: argparse.Namespace) -> AttentionUnet:
    """Return a network that was trained on some items of a datalist."""
    network = AttentionUnet(2, in_channels=1, out_channels=1, channels=CHANNELS, strides=[2] * 4)
    data = CacheDataset(items, Compose([*steps(KEYS, arguments.size), *augmentation()]), progress=False)
    batches = DataLoader(data, batch_size=arguments.batch, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.epochs * max(1, len(batches)))
    loss_of = DiceCELoss(sigmoid=True)
    for epoch in range(arguments.epochs):
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = loss_of(network(batch["image"]), batch["label"])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {arguments.epochs}: loss {np.mean(losses):.3f}", flush=True)
    return network


def predict(network: AttentionUnet, items: list[Item], size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id and the mask of each item, uint8 of its native size, lesions 255."""
    load = Compose(steps(["image"], size))
    network.eval()
    for item in items:
        with Image.open(item["image"]) as image:
            native = (image.height, image.width)
        with torch.inference_mode():
            logits = network(load({"image": item["image"]})["image"][None])
            logits = torch.nn.functional.interpolate(logits, native, mode="bilinear", antialias=False)
        yield item["id"], (torch.as_tensor(logits)[0, 0] > 0).numpy().astype(np.uint8) * 255


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that `folds --format monai` wrote")
    parser.add_argument("masks", type=Path, help="the folder to make")
    for name, value in {"fold": 0, "epochs": 20, "batch": 8, "size": 256, "threads": 1, "seed": 2020}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help="(%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train and predict as the command line says."""
    arguments = parse()
    arguments.masks.mkdir(parents=True)
    torch.set_num_threads(arguments.threads)
    monai.utils.set_determinism(arguments.seed)
    items = load_decathlon_datalist(arguments.data / "datalist.json", base_dir=arguments.data)
    tested = [item for item in items if item["fold"] == arguments.fold]
    start, trained = time.process_time(), [item for item in items if item["fold"] != arguments.fold]
    network = train(trained, arguments)
    record = {
        "network": "MONAI AttentionUnet",
        **{name: value for name, value in vars(arguments).items() if isinstance(value, int)},
        "training images": len(trained),
        "test images": len(tested),
        "processor seconds of training": round(time.process_time() - start),
        "versions": {"monai": monai.__version__, "torch": torch.__version__},
    }
    for case_id, mask in predict(network, tested, arguments.size):
        Image.fromarray(mask).save(arguments.masks / f"{case_id}.png")
    beside = arguments.masks.with_name(f"{arguments.masks.name}.json")
    beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
