"""The search for repeated frames over the images of cases, and what is measured of each on the way."""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.cases.images import pixel_digest, read_grey
from stages.cases.raw import Case, read_merged_mask
from stages.pipeline.arrays import Grey
from stages.pipeline.engine import map_on_all_cores
from stages.repeats.duplicates import SIDE, Features, Pair, candidates, describe, exact, thumbnail, verify
from stages.repeats.quality import border_pixels, burned_pixels, contrast, parts


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
    with tempfile.TemporaryFile() as file:
        # On disk, so that memory holds no more than the keypoints, however many images there are.
        squares = np.memmap(file, np.uint8, "w+", shape=(len(cases), SIDE, SIDE))
        features, digests, rows = [], [], []
        for position, found in enumerate(map_on_all_cores(examine, cases, "examine")):
            squares[position] = found[0]
            features.append(found[1])
            digests.append(found[2])
            rows.append(found[3])
        likely = candidates(features, seed)
        verified = map_on_all_cores(lambda candidate: verify(squares, features, candidate), likely, "compare")
        pairs = [pair for pair in verified if pair] + exact(digests)
    return pairs, pd.DataFrame(rows)
