"""Write the masks of a classical method without learning: the darkest region near the centre of the image.

    uv run python benchmarks/peers/dark_region.py dark-region
    uv run score dark-region --name dark-region

The image is filtered by the median, inverted and multiplied by a Gaussian around a point on its middle line, as in
Horsch et al. (Automatic segmentation of breast lesions on ultrasound, Medical Physics 28, 2001), who put it on the
lesion by hand. The mask is what is at least a share of the highest product, of this the part that holds the highest
one, with its holes filled. Where the Gaussian lies, its width and the share are those with the best mean lesion Dice on
the training images of each fold. Takes data/prepared and data/folds.csv: `uv run dvc repro prepare split` makes them.
"""

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.folds import UNUSED, read_folds, subsets
from breast_ultrasound.cases.images import write_png
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.scoring.scores import count, dice

_MEDIAN = 9


class Gaussian(NamedTuple):
    """Where a Gaussian lies on the middle line and its standard deviation, as shares of the image's sides."""

    depth: float
    width: float

    def weights(self, height: int, width: int) -> NDArray[np.float64]:
        """Return its values at the pixels of an image, [height, width]."""
        down, across = (np.arange(side) / side for side in (height, width))
        return np.outer(
            np.exp(-(((down - self.depth) / self.width) ** 2) / 2), np.exp(-(((across - 0.5) / self.width) ** 2) / 2)
        )


GAUSSIANS = tuple(Gaussian(*values) for values in itertools.product((0.2, 0.3, 0.4), (0.2, 0.3, 0.4, 0.5)))
SHARES = (0.6, 0.7, 0.8)
CANDIDATES = tuple(itertools.product(GAUSSIANS, SHARES))


def segment(image: Grey, gaussian: Gaussian, share: float) -> Mask:
    """Return the mask of an image, uint8 [height, width]: bool of its shape, never empty."""
    darkness = (255.0 - cv2.medianBlur(image, _MEDIAN)) * gaussian.weights(*image.shape)
    labels = np.asarray(cv2.connectedComponents((darkness >= share * darkness.max()).astype(np.uint8))[1])
    part = (labels == labels.flat[darkness.argmax()]).astype(np.uint8)
    outline, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(part), outline, -1, 1, cv2.FILLED), bool)


def dice_of_all(prepared: Prepared, boxes: list[Letterbox], row: int) -> NDArray[np.float64]:
    """Return the Dice of an image, without its padding, for each of CANDIDATES; NaN where it has no lesion."""
    image, truth = (np.ascontiguousarray(boxes[row].content(of[row])) for of in (prepared.images, prepared.masks))
    if not truth.any():
        return np.full(len(CANDIDATES), np.nan)
    counts = [count(segment(image, *candidate), truth > 0) for candidate in CANDIDATES]
    return dice(*(np.array([of_one[name] for of_one in counts]) for name in ("tp", "fp", "fn")))


def main() -> None:
    """Write the masks of the test images of all folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    prepared, folds = Prepared.open(PREPARED), read_folds()
    assert prepared.index["id"].tolist() == folds["id"].tolist()
    boxes = letterboxes(prepared.index)
    scores = np.array(list(map_on_all_cores(partial(dice_of_all, prepared, boxes), range(len(folds)), "try")))
    for fold in sorted(set(folds["fold"]) - {UNUSED}):
        subset = subsets(folds, fold)
        mean = np.nanmean(scores[subset == "train"], axis=0)
        chosen = CANDIDATES[mean.argmax()]
        print(f"fold {fold}: {chosen[0]}, share {chosen[1]}, lesion Dice on training images {mean.max():.3f}")
        for row in np.flatnonzero(subset == "test"):
            box = boxes[row]
            grid = np.zeros((box.size, box.size), np.uint8)
            box.content(grid)[...] = 255 * segment(np.ascontiguousarray(box.content(prepared.images[row])), *chosen)
            write_png(folder / f"{folds['id'][row]}.png", (box.to_native(grid) >= 128).astype(np.uint8) * 255)


if __name__ == "__main__":
    main()
