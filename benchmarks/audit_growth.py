"""Time and memory of the audit on phantoms of growing size.

    uv run python benchmarks/audit_growth.py 1000 4000 16000 64000

Makes the images of each size (0.15 GB a thousand, in a temporary folder), audits them in a process of its own (0.2 GB a
thousand more), and prints a line: images, seconds, of wall and of processor, peak memory, and recall and precision of
the planted pairs: of near-duplicates, and of other images that are of one sweep. Nothing else should run meanwhile;
where something does, only the seconds of wall suffer.

Drawing takes twice as long as the audit. So no more than `--drawn` images are drawn, and the others are these turned by
a quarter, a half and three quarters. The audit compares frames as they stand, so that the four are strangers to one
another, each turn with its own near-duplicates and sweeps; mirror images are turned the other way round and stay so.
What this cannot show is how the frames of a larger data set would vary beyond those that are drawn. `--phantom` takes
the first of the images that were drawn before, such as those in data/raw of a run on the phantom.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from breast_ultrasound.cases.images import read_grey, read_mask
from breast_ultrasound.cases.raw import Case, image_file, mask_file, read_cases, write_pictures, write_table
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.sources.phantom import write_phantom

PARAMS = Path("params.yaml").resolve()
TURNS = 4


def draw(raw: Path, images: int, phantom: Path | None) -> list[Case]:
    """Write a phantom of a size, or take so many images of one that was drawn before."""
    if not phantom:
        return write_phantom(raw, images, seed=1)
    shutil.copytree(phantom, raw, dirs_exist_ok=True)
    # So that no sweep is cut, less one: what is left of it would be no chain.
    drawn = pd.read_csv(raw / "planted.csv").sort_values(["sweep", "frame"], kind="stable")
    by_id = {case.id: case for case in read_cases(raw)}
    return [by_id[case_id] for case_id in drawn["id"][:images]]


def fill(raw: Path, images: int, drawn: int, phantom: Path | None) -> pd.DataFrame:
    """Write a phantom of a size, and return what was planted: `frame` and `sweep` by id."""
    sets = -(-images // min(images, drawn))
    if sets > TURNS:
        raise SystemExit(f"of {drawn} drawn images no more than {TURNS * drawn} can be made")
    cases = draw(raw, -(-images // sets), phantom)
    ids = [case.id for case in cases]
    planted = pd.read_csv(raw / "planted.csv", keep_default_na=False).set_index("id").loc[ids]
    mirrored = [case.id in planted.index[planted["repeat"] == "mirror"] for case in cases]
    truth, made = planted[["frame", "sweep"]], list(cases)
    frames = [truth]
    for turns in range(1, sets):
        made += map_on_all_cores(partial(turned, raw, turns), zip(cases, mirrored, strict=True), total=len(cases))
        frames.append((truth + turns * (truth.to_numpy().max() + 1)).rename(index=partial(name, turns)))
    write_table(raw, made)
    return pd.concat(frames)


def name(turns: int, case_id: str) -> str:
    """Return the id of a turned case."""
    return f"{case_id} turned {turns}"


def turned(raw: Path, turns: int, drawn: tuple[Case, bool]) -> Case:
    """Write a case, which comes with whether it is a mirror image, turned by so many quarters, and return it."""
    case, mirrored = drawn
    around, own = -turns if mirrored else turns, name(turns, case.id)
    image = np.ascontiguousarray(np.rot90(read_grey(case.image), around))
    masks = [np.ascontiguousarray(np.rot90(read_mask(path), around)) for path in case.masks]
    files = tuple(mask_file(raw, case.cls, own, place) for place in range(len(masks)))
    made = Case(own, case.cls, image_file(raw, case.cls, own), files, case.patient)
    write_pictures(made, image, masks)
    return made


def pairs(groups: pd.Series) -> set[tuple[int, int]]:
    """Return the pairs of rows with the same group."""
    members = groups.groupby(groups).indices.values()
    return {(int(a), int(b)) for rows in members for a in rows for b in rows if a < b}


def agreement(planted: set[tuple[int, int]], detected: set[tuple[int, int]]) -> str:
    """Describe recall and precision of the pairs that the audit detects."""
    both = len(planted & detected)
    return f"{len(planted)} pairs, recall {both / len(planted):.4f}, precision {both / len(detected):.4f}"


def measure(images: int, drawn: int, phantom: Path | None, folder: Path) -> str:
    """Make a phantom in `folder`, audit it there, and describe how it went."""
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    truth = fill(raw, images, drawn, phantom)
    (folder / "params.yaml").symlink_to(PARAMS)
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "stages.audit"], cwd=folder, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    # The largest of the processes so far; sizes grow, so it is the one that just ended. KiB on Linux.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, processor = used.ru_maxrss / 2**20, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    groups = pd.read_csv(folder / "data" / "groups.csv")
    planted = truth.loc[groups["id"]].reset_index(drop=True)
    duplicates, same_sweep = pairs(planted["frame"]), pairs(planted["sweep"])
    near_duplicates = agreement(duplicates, pairs(groups["frame"]))
    sweeps = agreement(same_sweep - duplicates, pairs(groups["sweep"]) - duplicates)
    return (
        f"{len(groups)} images: {seconds:.1f} s, {1000 * seconds / len(groups):.1f} ms an image, {processor:.1f} s of "
        f"processor, {peak:.2f} GiB; near-duplicates: {near_duplicates}; sweeps: {sweeps}"
    )


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=int, help="sizes, in growing order")
    parser.add_argument("--drawn", type=int, default=16000, help="images that are drawn at most (%(default)s)")
    parser.add_argument("--phantom", type=Path, metavar="FOLDER", help="images drawn before, planted.csv with them")
    parser.add_argument("--folder", type=Path, help="where to work; by default the folder for temporary files")
    arguments = parser.parse_args()
    for images in arguments.images:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(measure(images, arguments.drawn, arguments.phantom, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
