"""Write the masks of two systems that look at no image, which tell what a figure of others is worth.

    uv run python benchmarks/peers/trivial.py trivial
    uv run score trivial/always-empty --name always-empty
    uv run score trivial/mean-mask --name mean-mask

`always-empty` draws nothing. `mean-mask` draws the same in every image of a fold: the pixels that are lesion in at
least a share of the training images, on the square grid of the networks; the share is the one with the best lesion Dice
on the validation images. Takes data/prepared and data/folds.csv: `uv run dvc repro prepare split` makes them.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.folds import UNUSED, read_folds, subsets
from breast_ultrasound.cases.images import write_png
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scoring.scores import dice

SHARES = tuple(share / 100 for share in range(2, 51, 2))


def lesion_dice(mask: Mask, truths: NDArray[np.uint8]) -> float:
    """Return the mean Dice of a mask [size, size] against the true ones [n, size, size], 0 or 1, that are not empty."""
    lesions = truths[truths.any(axis=(1, 2))] > 0
    tp, true, predicted = (lesions & mask).sum(axis=(1, 2)), lesions.sum(axis=(1, 2)), mask.sum()
    return float(dice(tp, predicted - tp, true - tp).mean())


def mean_mask(training: NDArray[np.uint8], validation: NDArray[np.uint8]) -> tuple[Mask, float]:
    """Return the mean mask [size, size] of true ones [n, size, size], 0 or 1, and the share that was chosen."""
    mean = training.mean(axis=0)
    share = max(SHARES, key=lambda share: lesion_dice(mean >= share, validation))
    return mean >= share, share


def main() -> None:
    """Write the masks of both systems for the test images of all folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    empty, mean = (parser.parse_args().folder / name for name in ("always-empty", "mean-mask"))
    for folder in (empty, mean):
        folder.mkdir(parents=True, exist_ok=True)
    prepared, folds = Prepared.open(PREPARED), read_folds()
    assert prepared.index["id"].tolist() == folds["id"].tolist()
    boxes = letterboxes(prepared.index)
    for fold in sorted(set(folds["fold"]) - {UNUSED}):
        subset = subsets(folds, fold)
        mask, share = mean_mask(prepared.masks[subset == "train"], prepared.masks[subset == "validation"])
        print(f"fold {fold}: lesion in at least {share:.0%} of the training images")
        for row in np.flatnonzero(subset == "test"):
            native = boxes[row].to_native(mask.astype(np.uint8) * 255)
            write_png(mean / f"{folds['id'][row]}.png", (native >= 128).astype(np.uint8) * 255)
            write_png(empty / f"{folds['id'][row]}.png", np.zeros_like(native))


if __name__ == "__main__":
    main()
