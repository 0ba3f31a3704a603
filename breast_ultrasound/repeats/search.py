"""What is compared of the images of cases and measured of each, and the search for repeats and sweeps among them."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.images import pixel_digest, read_grey
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.repeats.album import Album
from breast_ultrasound.repeats.candidates import candidates
from breast_ultrasound.repeats.duplicates import Pair, exact, group, verify
from breast_ultrasound.repeats.features import SIDE, Features, describe, thumbnail
from breast_ultrasound.repeats.quality import border_pixels, burned_pixels, contrast, parts
from breast_ultrasound.repeats.sweeps import Encode, Link, find_links


@dataclass(frozen=True)
class Found:
    """What is known of n images: a row of figures of each, the pairs that repeat one another, by position, the frame of
    each, int64 [n], and the links between frames of a sweep.
    """

    figures: pd.DataFrame
    pairs: list[Pair]
    frames: NDArray[np.int64]
    links: list[Link]


def find_alike(
    cases: Sequence[Case],
    similarity: float,
    sweep: float | None,
    encoder: Callable[[int, int], Encode],
    seed: int,
    beside: Path,
) -> Found:
    """Look for repeats of at least `similarity`, and for frames of sweeps that are close by at least `sweep`, or for
    none where that is None.

    `encoder` makes what encodes thumbnails, of their side and a seed; it is called only where sweeps are looked for.
    What is compared lies in a folder in `beside` meanwhile.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as name:
        folder = Path(name)
        album, figures = collect(cases, folder)
        pairs = find_pairs(album, figures["digest"].tolist(), seed, folder)
        frames = group(len(figures), pairs, similarity, similarity)
        if sweep is None:
            return Found(figures, pairs, frames, [])
        # The first image of a frame stands for it.
        firsts = figures[~pd.Series(frames).duplicated()]
        aspects = firsts["aspect"].to_numpy()
        links = find_links(album, firsts.index.tolist(), aspects, encoder(SIDE, seed), sweep, folder)
        return Found(figures, pairs, frames, links)


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
