"""The search for repeated frames over the images of cases, and what is measured of each on the way."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from stages.cases.images import pixel_digest, read_grey
from stages.cases.raw import Case, read_merged_mask
from stages.pipeline.arrays import Grey
from stages.pipeline.engine import map_on_all_machines
from stages.repeats.album import Album
from stages.repeats.candidates import candidates
from stages.repeats.duplicates import Pair, exact, verify
from stages.repeats.features import Features, describe, thumbnail
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


def find_pairs(cases: Sequence[Case], seed: int, beside: Path) -> tuple[list[Pair], pd.DataFrame]:
    """All verified pairs of repeated frames, and the figures of each image.

    What is compared lies in a folder in `beside` meanwhile, about 0.1 MB an image.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as name:
        folder = Path(name)
        album, digests, rows = Album(folder), [], []
        for square, features, digest, row in map_on_all_machines(examine, cases, "examine"):
            album.add(square, features)
            digests.append(digest)
            rows.append(row)
        likely = candidates(album, seed, folder)
        verified = map_on_all_machines(partial(verify, album), likely, "compare")
        pairs = [pair for pair in verified if pair] + exact(digests)
    return pairs, pd.DataFrame(rows)
