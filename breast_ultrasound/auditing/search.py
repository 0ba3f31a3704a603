"""Search the images of cases for near-duplicates and sweeps, and measure each image and its mask."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from breast_ultrasound.auditing.album import Album
from breast_ultrasound.auditing.candidates import find_candidates
from breast_ultrasound.auditing.features import SIDE, Features, describe, make_thumbnail
from breast_ultrasound.auditing.near_duplicates import NearDuplicatePair, group_pairs, pair_equal_images, verify
from breast_ultrasound.auditing.quality import border_pixels, burned_pixels, contrast, mask_parts
from breast_ultrasound.auditing.sweep_features import Encode
from breast_ultrasound.auditing.sweeps import Frames, SweepPair, chain, find_sweep_pairs
from breast_ultrasound.cases.groups import join_groups
from breast_ultrasound.cases.images import pixel_digest, read_grey
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.params import Real, Section


class Thresholds(Section, extra="ignore"):
    """How alike two images of one frame are at least, and how close two frames of one sweep; None finds no sweeps."""

    similarity: Annotated[Real, Field(gt=0, le=1)]
    weak_similarity: Annotated[Real, Field(gt=0, le=1)]
    sweep: Annotated[Real, Field(gt=0, le=1)] | None


@dataclass(frozen=True)
class Relations:
    """How n images are related: the frame and the sweep of each, int64 [n], and the pairs, by position, that show it.

    `figures` has a row an image: its id, class, patient, and what was measured of it and its mask.
    """

    figures: pd.DataFrame
    near_duplicates: list[NearDuplicatePair]
    sweep_pairs: list[SweepPair]
    frames: NDArray[np.int64]
    sweeps: NDArray[np.int64]


def find_relations(
    cases: Sequence[Case], thresholds: Thresholds, encoder: Callable[[int, int], Encode], seed: int, beside: Path
) -> Relations:
    """Find the near-duplicates and the sweeps among the images of cases.

    `encoder` makes a function that encodes thumbnails, given their side and a seed; it is called only where sweeps are
    looked for. What is compared is in a folder in `beside` meanwhile.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as name:
        folder = Path(name)
        album, figures = collect(cases, folder)
        pairs = find_near_duplicates(album, figures["digest"].tolist(), seed, folder)
        frames = group_pairs(len(figures), pairs, thresholds.similarity, thresholds.similarity)
        sweep_pairs = []
        if thresholds.sweep is not None:
            # The first image of a frame stands for it.
            firsts = figures[~pd.Series(frames).duplicated()]
            find = partial(_find_sweep_pairs, album, encoder(SIDE, seed), thresholds.sweep, folder)
            sweep_pairs = find_within_and_across_sources(firsts, find)
    same_view = group_pairs(len(figures), pairs, thresholds.weak_similarity, thresholds.similarity)
    sweeps = join_groups(same_view, chain(len(figures), sweep_pairs))
    return Relations(figures, pairs, sweep_pairs, frames, sweeps)


def find_within_and_across_sources(
    frames: pd.DataFrame, find: Callable[[pd.DataFrame], list[SweepPair]]
) -> list[SweepPair]:
    """Return the pairs that `find` finds in the frames of each source alone, and of all frames those of two sources.

    What is usual for a frame depends on what it is compared with. So a source has the same sweeps whatever it is joined
    with, and its images stay in the same groups. `frames` has a row a frame, by the position of an image of it.
    """
    pairs = [pair for _, of_source in frames.groupby("source", sort=False) for pair in find(of_source)]
    source = frames["source"]
    if source.nunique() > 1:
        pairs += [pair for pair in find(frames) if source[pair.first] != source[pair.second]]
    return pairs


def _find_sweep_pairs(
    album: Album, encode: Encode, least: float, folder: Path, frames: pd.DataFrame
) -> list[SweepPair]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        compared = Frames(album, frames.index.tolist(), frames["aspect"].to_numpy())
        return find_sweep_pairs(compared, encode, least, Path(own))


def examine(case: Case) -> tuple[Grey, Features, dict[str, Any]]:
    """Return the thumbnail and the features of an image, and its row: what it is, a digest of its pixels, figures."""
    image = read_grey(case.image)
    mask = read_merged_mask(case, *image.shape)
    thumbnail = make_thumbnail(image)
    height, width = image.shape
    row = {
        "id": case.id,
        "class": case.cls,
        "source": case.source,
        "patient": case.patient,
        "fold": case.fold,
        "digest": pixel_digest(image),
        "aspect": width / height,
        "burned_pixels": burned_pixels(image),
        "mask_pixels": int(mask.sum()),
        "border_pixels": border_pixels(mask),
        "mask_parts": mask_parts(mask),
        "masks": len(case.masks),
        "contrast": contrast(image),
    }
    return thumbnail, describe(thumbnail), row


def collect(cases: Sequence[Case], folder: Path) -> tuple[Album, pd.DataFrame]:
    """Return an album of all images, in files of `folder`, about 0.1 MB an image, and the row of each."""
    album, rows = Album(folder), []
    for thumbnail, features, row in map_on_all_machines(examine, cases, "examine"):
        album.add(thumbnail, features)
        rows.append(row)
    return album, pd.DataFrame(rows)


def find_near_duplicates(album: Album, digests: Sequence[str], seed: int, folder: Path) -> list[NearDuplicatePair]:
    """Return all verified pairs of near-duplicates; what has to be sorted is in files of `folder` meanwhile."""
    verified = map_on_all_machines(partial(verify, album), find_candidates(album, seed, folder), "compare")
    return [pair for pair in verified if pair] + pair_equal_images(digests)
