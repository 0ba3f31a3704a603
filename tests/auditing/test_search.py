"""Sweeps within and across sources, with a search that pairs what is closest in a table."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.auditing.search import find_within_and_across_sources
from breast_ultrasound.auditing.sweeps import SweepPair

FRAMES = st.lists(st.tuples(st.sampled_from(["busi", "bus-bra", "own"]), st.integers(0, 30)), min_size=1, max_size=30)


def find(frames: pd.DataFrame) -> list[SweepPair]:
    """Pair frames that are nearer than the mean distance of all that are searched, so that a pair depends on all."""
    at, positions = frames["at"].to_numpy(), frames.index.to_numpy()
    distances = abs(at[:, None] - at)
    first, second = np.nonzero(np.triu(distances < distances.mean(), 1))
    return [SweepPair(int(positions[a]), int(positions[b]), 0.1) for a, b in zip(first, second, strict=True)]


@given(FRAMES)
def test_a_source_has_the_same_pairs_whatever_it_is_joined_with(rows: list[tuple[str, int]]) -> None:
    frames = pd.DataFrame(rows, columns=["source", "at"])
    pairs = find_within_and_across_sources(frames, find)
    source = frames["source"]
    for name, alone in frames.groupby("source"):
        within = [pair for pair in pairs if source[pair.first] == source[pair.second] == name]
        assert within == find(alone)


def test_pairs_across_sources_are_those_of_all_frames() -> None:
    frames = pd.DataFrame({"source": ["a", "b", "a", "b"], "at": [0, 1, 50, 99]})
    across = [pair for pair in find_within_and_across_sources(frames, find) if pair.first % 2 != pair.second % 2]
    assert across == [SweepPair(0, 1, 0.1)]
