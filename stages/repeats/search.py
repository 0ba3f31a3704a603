"""The search for repeated frames over the images of cases, and what is measured of each on the way."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.cases.images import pixel_digest, read_grey
from stages.cases.raw import Case, read_merged_mask
from stages.pipeline.arrays import Grey
from stages.pipeline.engine import map_on_all_machines
from stages.pipeline.files import written_rows
from stages.repeats.duplicates import SIDE, Features, Pair, candidates, describe, exact, thumbnail, verify
from stages.repeats.quality import border_pixels, burned_pixels, contrast, parts

# What is compared: thumbnails, and the features of all images one after the other, with where those of each begin.
_SQUARES, _STARTS, _POINTS, _DESCRIPTORS = "squares.npy", "starts.npy", "points.npy", "descriptors.npy"


def examine(case: Case) -> tuple[Grey, Features, str, dict[str, Any]]:
    """An image's thumbnail and features for the search, the digest of its pixels, and its row of figures and flags."""
    image = read_grey(case.image)
    mask = read_merged_mask(case, *image.shape)
    square = thumbnail(image)
    row = {
        "id": case.id,
        "class": case.cls,
        "patient": case.patient,
        "burned_pixels": burned_pixels(image),
        "mask_pixels": int(mask.sum()),
        "border_pixels": border_pixels(mask),
        "mask_parts": parts(mask),
        "masks": len(case.masks),
        "contrast": contrast(image),
    }
    return square, describe(square), pixel_digest(image), row


def find_pairs(cases: Sequence[Case], seed: int) -> tuple[list[Pair], pd.DataFrame]:
    """All verified pairs of repeated frames, and the figures of each image."""
    # On disk, so that memory holds no more than the keypoints, however many images there are; and in the working
    # directory, which the machines of a cluster see.
    with tempfile.TemporaryDirectory(dir=Path(), prefix=".partial-") as name:
        folder = Path(name)
        features, digests, rows = [], [], []
        with written_rows(folder / _SQUARES, (len(cases), SIDE, SIDE)) as add_square:
            for square, described, digest, row in map_on_all_machines(examine, cases, "examine"):
                add_square(square)
                features.append(described)
                digests.append(digest)
                rows.append(row)
        write_features(features, folder)
        compared = map_on_all_machines(partial(compare, folder), candidates(features, seed), "compare")
        pairs = [pair for pair in compared if pair] + exact(digests)
    return pairs, pd.DataFrame(rows)


def write_features(features: Sequence[Features], folder: Path) -> None:
    """Write the features of all images to a folder, as `compare` reads those of two."""
    np.save(folder / _STARTS, np.cumsum([0, *(len(one.points) for one in features)]))
    np.save(folder / _POINTS, np.concatenate([one.points for one in features]))
    np.save(folder / _DESCRIPTORS, np.concatenate([one.descriptors for one in features]))


def compare(folder: Path, candidate: tuple[int, int, bool]) -> Pair | None:
    """Check a candidate by the thumbnails and features that a folder holds; nothing where no map fits."""
    squares, starts, points, descriptors = (
        np.load(folder / name, mmap_mode="r") for name in (_SQUARES, _STARTS, _POINTS, _DESCRIPTORS)
    )

    def features(image: int) -> Features:
        own = slice(*starts[image : image + 2])
        return Features(points[own], descriptors[own])

    return verify(squares, {image: features(image) for image in candidate[:2]}, candidate)
