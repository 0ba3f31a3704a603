"""What is compared of the images of cases and measured of each, and the search for repeated frames among them."""

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


def examine(case: Case) -> tuple[Grey, Features, dict[str, Any]]:
    """An image's thumbnail and features for the search, and its row: what it is, the digest of its pixels, figures."""
    image = read_grey(case.image)
    mask = read_merged_mask(case, *image.shape)
    square = thumbnail(image)
    height, width = image.shape
    row = {
        "id": case.id,
        "class": case.cls,
        "patient": case.patient,
        "digest": pixel_digest(image),
        "aspect": width / height,
        "burned_pixels": burned_pixels(image),
        "mask_pixels": int(mask.sum()),
        "border_pixels": border_pixels(mask),
        "mask_parts": parts(mask),
        "masks": len(case.masks),
        "contrast": contrast(image),
    }
    return square, describe(square), row


def collect(cases: Sequence[Case], folder: Path) -> tuple[Album, pd.DataFrame]:
    """What is compared of all images, in files of `folder`, about 0.1 MB an image, and the row of each."""
    album, rows = Album(folder), []
    for square, features, row in map_on_all_machines(examine, cases, "examine"):
        album.add(square, features)
        rows.append(row)
    return album, pd.DataFrame(rows)


def find_pairs(album: Album, digests: Sequence[str], seed: int, folder: Path) -> list[Pair]:
    """All verified pairs of repeated frames; what has to be sorted lies in files of `folder` meanwhile."""
    verified = map_on_all_machines(partial(verify, album), candidates(album, seed, folder), "compare")
    return [pair for pair in verified if pair] + exact(digests)
