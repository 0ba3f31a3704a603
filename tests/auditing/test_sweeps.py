from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from breast_ultrasound.auditing.album import Album
from breast_ultrasound.auditing.features import SIDE, describe
from breast_ultrasound.auditing.sweeps import Frames, SweepPair, chain, find_sweep_pairs
from breast_ultrasound.pipeline.arrays import Grey

LEAST = 0.075


def encode(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A stand-in for the encoder: 112 fixed projections of the smoothed pixels of each cell."""
    projections = np.random.default_rng(0).standard_normal((64, 112), dtype=np.float32)
    small = np.stack([cv2.resize(thumbnail, (128, 128), interpolation=cv2.INTER_AREA) for thumbnail in thumbnails])
    cells = small.reshape(-1, 16, 8, 16, 8).swapaxes(2, 3).reshape(-1, 16, 16, 64)
    return np.asarray(cells / 255 @ projections, np.float32)


def texture(seed: int) -> NDArray[np.floating]:
    """Smooth noise of unit variance, wider than a thumbnail."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((SIDE, 2 * SIDE)), (0, 0), 5)
    return noise / np.std(noise)


def section(volume: int, step: int, other: float = 0.1) -> Grey:
    """A frame of a sweep: each next one is 5 pixels further along, and as to a share of `other` of another texture."""
    along = texture(volume)[:, 5 * step :][:, :SIDE] + other * step * texture(1000 + 10 * volume + step)[:, :SIDE]
    return np.clip(128 + 40 * along, 20, 255).astype(np.uint8)


def collect(thumbnails: list[Grey], folder: Path) -> Album:
    album = Album(folder)
    for thumbnail in thumbnails:
        album.add(thumbnail, describe(thumbnail))
    return album


def find(thumbnails: list[Grey], folder: Path, aspects: list[float] | None = None) -> list[SweepPair]:
    """The pairs among frames that a thumbnail each stands for."""
    wide = np.array(aspects or [1.2] * len(thumbnails))
    frames = Frames(collect(thumbnails, folder), range(len(thumbnails)), wide)
    return find_sweep_pairs(frames, encode, LEAST, folder)


def ends(pairs: list[SweepPair]) -> set[tuple[int, int]]:
    return {(pair.first, pair.second) for pair in pairs}


STRANGERS = [section(volume, 0) for volume in range(1, 13)]


def test_frames_of_a_sweep_are_chained_and_strangers_are_not(tmp_path: Path) -> None:
    thumbnails = [section(0, step) for step in range(4)] + STRANGERS
    sweeps = chain(len(thumbnails), find(thumbnails, tmp_path)).tolist()
    assert len(set(sweeps[:4])) == 1
    assert len(set(sweeps)) == 1 + len(STRANGERS)


def test_a_sweep_of_more_frames_than_the_rank_of_the_usual_neighbour_is_one_sweep(tmp_path: Path) -> None:
    thumbnails = [section(0, step, other=0.2) for step in range(12)] + STRANGERS
    sweeps = chain(len(thumbnails), find(thumbnails, tmp_path)).tolist()
    assert len(set(sweeps[:12])) == 1
    assert len(set(sweeps)) == 1 + len(STRANGERS)


def test_a_look_that_many_share_joins_none_of_them(tmp_path: Path) -> None:
    common = texture(99)[:, :SIDE]
    alike = [np.clip(128 + 40 * (common + texture(seed)[:, :SIDE]), 20, 255).astype(np.uint8) for seed in range(50, 58)]
    assert find([*alike, *STRANGERS], tmp_path) == []


def test_frames_of_another_aspect_ratio_are_of_another_sweep(tmp_path: Path) -> None:
    thumbnails = [section(0, 0), section(0, 1), *STRANGERS]
    assert ends(find(thumbnails, tmp_path, [1.2, 1.25, *[1.2] * len(STRANGERS)])) == {(0, 1)}
    assert find(thumbnails, tmp_path, [1.2, 1.35, *[1.2] * len(STRANGERS)]) == []


def test_pairs_name_frames_by_their_positions_in_the_album(tmp_path: Path) -> None:
    album = collect([STRANGERS[0], section(0, 0), *STRANGERS, STRANGERS[0], section(0, 1)], tmp_path)
    chosen = [position for position in range(len(album)) if position not in (2, 14)]
    (pair,) = find_sweep_pairs(Frames(album, chosen, np.ones(len(chosen))), encode, LEAST, tmp_path)
    assert (pair.first, pair.second) == (1, 15)
    assert LEAST <= pair.closeness < 1


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("grey", [0, 90])
def test_few_frames_without_any_tissue_or_texture_have_no_pairs(count: int, grey: int, tmp_path: Path) -> None:
    assert find([np.full((SIDE, SIDE), grey, np.uint8)] * count, tmp_path) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_a_chain_of_pairs_is_one_sweep(links: list[tuple[int, int]]) -> None:
    sweeps = chain(10, [SweepPair(one, two, 0.1) for one, two in links])
    expected = list(range(10))
    for one, two in links:
        old, new = expected[one], expected[two]
        expected = [new if number == old else number for number in expected]
    same = np.equal.outer(sweeps, sweeps)
    assert (same == np.equal.outer(expected, expected)).all()
