"""Time, memory and size of the report on runs of growing size.

    uv run dvc repro
    uv run python benchmarks/report_growth.py 1000 20000

Takes the run that is checked out, and for each size files its test images again and again under new numbers: links to
the same files, and copies of the same predictions. It has all of them evaluated and reported, each in a process of its
own, and prints a line: images, seconds and peak memory of both, and the size of the page. 20,000 images take 2 GB in a
temporary folder. Nothing else should run meanwhile.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from breast_ultrasound.answers.predictions import PROBABILITY, predictions, read_rows
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.prepared import INDEX, PREPARED
from breast_ultrasound.cases.raw import RAW, read_cases, write_table
from breast_ultrasound.pipeline.files import written_rows
from breast_ultrasound.pipeline.params import PARAMS, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.training.history import history
from stages.report import REPORT, Params

# Above every number of the phantom and of BUSI.
STRIDE = 1000


def copy_run(fold: int, folder: Path) -> None:
    """Copy what `evaluate` and `report` read of the run that is checked out, of one fold alone."""
    for name in (RAW, PREPARED, predictions(fold), history(fold)):
        shutil.copytree(name, folder / name)
    shutil.copyfile(GROUPS, folder / GROUPS)
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    values["split"]["run"] = [fold]
    (folder / PARAMS).write_text(yaml.safe_dump(values), encoding="utf-8")


def renumber(case_id: str, copy: int) -> str:
    """Return the id of a copy: `benign (5)` becomes `benign (2005)`."""
    return re.sub(r"\d+", lambda number: str(int(number[0]) + STRIDE * copy), case_id)


def plan(rows: pd.DataFrame, images: int) -> pd.DataFrame:
    """Return the copies that make the test images so many: `original` id, number of the `copy`, new `id`."""
    originals = rows.loc[rows["subset"] == "test", "id"].to_numpy()
    number = np.arange(images - len(originals))
    copies = pd.DataFrame({"original": originals[number % len(originals)], "copy": 1 + number // len(originals)})
    return copies.assign(id=[renumber(*pair) for pair in zip(copies["original"], copies["copy"], strict=True)])


def link_files(copies: pd.DataFrame, folder: Path) -> None:
    """File the images and masks of the originals under the new ids too."""
    cases = {case.id: case for case in read_cases(folder)}
    linked = []
    for original, case_id in zip(copies["original"], copies["id"], strict=True):
        files = [cases[original].image, *cases[original].masks]
        image, *masks = (path.with_name(path.name.replace(original, case_id)) for path in files)
        for path, link in zip(files, (image, *masks), strict=True):
            link.hardlink_to(path)
        linked.append(replace(cases[original], id=case_id, image=image, masks=tuple(masks)))
    write_table(folder, [*cases.values(), *linked])


def append(copies: pd.DataFrame, table: Path) -> None:
    """Add the rows of the copies to a table of images; a copy of a group is another group."""
    images = read_table(table)
    rows = images.set_index("id").loc[copies["original"]].reset_index().assign(id=copies["id"])
    if "group" in rows:
        rows["group"] += STRIDE * copies["copy"]
    pd.concat([images, rows]).to_csv(table, index=False)


def append_predictions(copies: pd.DataFrame, folder: Path) -> None:
    """Add the predictions of the originals once more for each copy."""
    rows, probability = read_rows(folder), np.load(folder / PROBABILITY)
    place = dict(zip(rows["id"], rows.index, strict=True))
    with written_rows(folder / PROBABILITY, (len(rows) + len(copies), *probability.shape[1:])) as add:
        add(probability)
        for original in copies["original"]:
            add(probability[place[original]])
    append(copies, folder / INDEX)


def run(stage: str, folder: Path) -> tuple[float, float]:
    """Run a stage there in a process of its own, and return its seconds and its peak memory in GiB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", f"stages.{stage}"], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{stage} ended with {process.returncode}")
    # KiB on Linux.
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def measure(images: int, fold: int, folder: Path) -> str:
    """Make the test images of a fold so many in `folder`, and describe how the report on them went."""
    copy_run(fold, folder)
    copies = plan(read_rows(folder / predictions(fold)), images)
    link_files(copies, folder / RAW)
    append(copies, folder / PREPARED / INDEX)
    append(copies, folder / GROUPS)
    append_predictions(copies, folder / predictions(fold))
    stages = [f"{stage} {{:.1f}} s, {{:.2f}} GiB".format(*run(stage, folder)) for stage in ("evaluate", "report")]
    return f"{images} images: {', '.join(stages)}, {(folder / REPORT).stat().st_size / 1e6:.1f} MB of page"


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=int, help="numbers of test images, not below those of the run")
    sizes, fold = parser.parse_args().images, load(Params).split.run[0]
    for images in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(images, fold, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
