"""Say whether the run that is checked out reproduces a commit: `uv run reproduced [COMMIT]`, by default HEAD.

Regenerates nothing: run `uv run dvc repro` first. Compares the hashes of all outputs in dvc.lock, and, where these
differ, the answers for each image in metrics/scores.csv. Ends with exit code 0 where the bytes are the same or the
figures agree within noise, as on another processor, and with 1 where the results are others. Needs Git alone. Not part
of the pipeline.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from breast_ultrasound.commands.compare.revisions import Revision, find
from breast_ultrasound.commands.compare.runs import compare, read_scores
from breast_ultrasound.pages.rendering import signed
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.scoring.comparison import SUBSETS, Change, pair
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import MORE_THAN_NOISE, PairedTest

LOCK, PIPELINE, PARAMS = Path("dvc.lock"), Path("dvc.yaml"), "params.yaml"

# By stage, the values of params that it read, or the hash of each of its outputs.
Locked = dict[str, dict[str, Any]]


class Params(Section):
    """What this command reads of params.yaml."""

    seed: Seed
    intervals: Intervals


@dataclass(frozen=True)
class Masks:
    """How many masks of validation and test images differ, of how many, and by how many pixels at least."""

    different: int
    images: int
    pixels: int


def read_lock(revision: Revision) -> tuple[Locked, Locked]:
    """Read the params and the outputs of each stage of a run, in the order of the pipeline."""
    order = list(yaml.safe_load(revision.read(PIPELINE))["stages"])
    stages = yaml.safe_load(revision.read(LOCK))["stages"]
    names = sorted(stages, key=lambda name: (order.index(name.partition("@")[0]), name))
    params = {name: stages[name].get("params", {}).get(PARAMS, {}) for name in names}
    return params, {name: {out["path"]: out["md5"] for out in stages[name].get("outs", [])} for name in names}


def first_difference(first: Locked, second: Locked) -> tuple[str, list[str]] | None:
    """Return the first stage that differs, by the order of the second, and which of its entries do; else None.

    >>> first_difference({"prepare": {"a": 1}, "train": {"b": 2}}, {"prepare": {"a": 1}, "train": {"b": 3, "c": 4}})
    ('train', ['b', 'c'])
    """
    for stage in [*second, *first]:
        one, two = first.get(stage, {}), second.get(stage, {})
        if one != two:
            return stage, [name for name in {**two, **one} if one.get(name) != two.get(name)]
    return None


def count_masks(first: Revision, second: Revision) -> Masks:
    """Count the masks that differ, from the pixel counts of the scores; UserError where images or true masks differ."""
    one, two = read_scores(first), read_scores(second)
    both = pd.concat([pair(one[subset], two[subset], subset) for subset in SUBSETS])
    # A mask that lost as many pixels as it gained at another place looks the same.
    first_counts, second_counts = (both[[f"tp_{run}", f"fp_{run}"]].to_numpy() for run in ("first", "second"))
    pixels = np.abs(second_counts - first_counts).sum(axis=1)
    return Masks(int((pixels > 0).sum()), len(both), int(pixels.sum()))


def change_lines(changes: dict[str, list[Change]]) -> Iterator[str]:
    """Yield a line for each figure that moved: its name, its values and what the difference is worth."""
    for subset, figures in changes.items():
        for figure in figures:
            if figure.first != figure.second:
                values = f"{figure.first:.3f} → {figure.second:.3f} ({signed(figure.difference.value)})"
                yield f"  {subset} {figure.name}: {values}, {figure.difference.verdict}"


def is_reproduced(commit: Revision, test: PairedTest) -> bool:
    """Print how the run that is checked out differs from that of a commit, and return whether it reproduces it."""
    own = Revision("checked out", None)
    (params, outputs), (own_params, own_outputs) = read_lock(commit), read_lock(own)
    different = first_difference(outputs, own_outputs)
    if not different:
        print(f"{commit.name}: the same bytes, {sum(map(len, outputs.values()))} outputs of {len(outputs)} stages.")
        return True
    stage, names = different
    print(f"{commit.name}: other bytes from the stage {stage} on ({', '.join(names)}).")
    changed = first_difference(params, own_params)
    if changed:
        print(f"Another run: the params of {changed[0]} differ ({', '.join(changed[1])}).")
        return False
    try:
        masks = count_masks(commit, own)
        changes = compare(commit, own, test, 0).changes
    except UserError as error:
        print(f"Other results: {error}")
        return False
    print(f"{masks.different} of {masks.images} masks differ, by {masks.pixels} pixels at least.")
    for line in change_lines(changes):
        print(line)
    if any(figure.difference.verdict == MORE_THAN_NOISE for figures in changes.values() for figure in figures):
        print("Other results: a figure differs by more than noise.")
        return False
    print("The figures agree within noise, as on another processor. `git restore . && uv run dvc checkout` goes back.")
    return True


@command
def main() -> None:
    """Compare the run that is checked out with the commit that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", metavar="COMMIT", nargs="?", default="HEAD", help="%(default)s by default")
    commit, params = find(parser.parse_args().commit), load(Params)
    test = PairedTest(params.intervals.draws, params.intervals.confidence, params.seed)
    if not is_reproduced(commit, test):
        sys.exit(1)


if __name__ == "__main__":
    main()
