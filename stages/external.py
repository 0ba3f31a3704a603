"""Score the networks on external test sets, on which none of them was trained, chosen or tuned.

`external` in params.yaml names case tables, or folders and zips in the layout of BUSI. Each is verified like own data;
images that repeat one of data/raw, or are of a sweep of it, are left out; the probabilities of all folds' networks are
averaged; the post-processing is the one that was fitted, and scores and figures follow the same rules as those of the
test images.
Writes metrics/external.csv (a row an image before and after post-processing, `subset` being the name of the set) and
metrics/external.json (figures, and by what they differ from the internal test). Without a set both are empty, and
no network is loaded, nor what they need.
"""

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from breast_ultrasound.answers.answer import ALL, POSTPROCESS, Fitted, read_fitted
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.cases.folds import Run, remove_other_folds
from breast_ultrasound.cases.groups import by_patient, join
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.raw import RAW, Case, read_cases, read_merged_mask
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Positive, Real, Section, Seed, load
from breast_ultrasound.repeats.duplicates import group
from breast_ultrasound.repeats.quality import BURNED_PIXELS
from breast_ultrasound.repeats.search import find_alike
from breast_ultrasound.repeats.sweeps import chained
from breast_ultrasound.scoring import figures
from breast_ultrasound.scoring.external import FIGURES, PER_IMAGE, falls
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.rows import score, tabulate
from breast_ultrasound.sources.custom import copy_custom

if TYPE_CHECKING:
    from breast_ultrasound.network.ensemble import Ensemble

_BATCH = 16


class Archives(Section, extra="ignore"):
    """How large an archive may be."""

    max_gib: Positive


class Likeness(Section, extra="ignore"):
    """From when on two images are of one frame, and two frames of one sweep."""

    similarity: Real
    weak_similarity: Real
    sweep: Real | None


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: Archives
    audit: Likeness
    split: Run
    # Checked by `ensemble.Settings`, whose module loads Keras.
    hardware: dict[str, Any]
    predict: dict[str, Any]
    intervals: Intervals
    external: dict[Annotated[str, Field(pattern=r"^[a-z0-9][\w-]*$")], Annotated[str, Field(min_length=1)]]


def copy_sets(sets: dict[str, str], folder: Path, max_gib: float) -> dict[str, list[Case]]:
    """The verified cases of each set, copied to `folder`; UserError, by the set's name, where one can't be used."""
    copied = {}
    for name, archive in sets.items():
        root = folder / name
        root.mkdir()
        try:
            copied[name] = copy_custom(Path(archive), root, max_gib)
        except UserError as error:
            raise UserError(f"external.{name}: {error}") from error
    return copied


def find_known(sets: dict[str, list[Case]], loaded: Params) -> dict[str, pd.DataFrame]:
    """Of each set a row each of its cases, with `id`, `group`, `marks` and `known`: `repeat` where it repeats an image
    of data/raw, `sweep` where it is otherwise of a sweep of these, or empty.
    """
    own, audit = read_cases(RAW), loaded.audit
    every = [*own, *itertools.chain.from_iterable(sets.values())]
    found = find_alike(every, audit.similarity, audit.sweep, imagenet_encoder, loaded.seed, RAW.parent)
    alike = group(len(every), found.pairs, audit.weak_similarity, audit.similarity)
    sweeps = join(alike, chained(len(every), found.links))
    repeats, of_sweep = (np.isin(groups, groups[: len(own)]) for groups in (found.frames, sweeps))
    table = pd.DataFrame(
        {
            "id": found.figures["id"],
            "group": sweeps,
            "marks": (found.figures["burned_pixels"] >= BURNED_PIXELS).astype(int),
            "known": np.select([repeats, of_sweep], ["repeat", "sweep"], ""),
        }
    )
    ends = np.cumsum([len(own), *map(len, sets.values())])
    known = {}
    for name, (start, end) in zip(sets, itertools.pairwise(ends), strict=True):
        # Patients are told apart within a set alone.
        patients = by_patient(found.figures["patient"][start:end])
        known[name] = table[start:end].assign(group=join(sweeps[start:end], patients)).reset_index(drop=True)
    return known


def check_new(name: str, known: pd.DataFrame) -> None:
    """UserError where nothing of a set is new."""
    if (known["known"] != "").all():
        shown = "images repeat some of data/raw, or are of its sweeps"
        raise UserError(f"external.{name}: all {len(known)} {shown}. Name another set.")


def predict_together(networks: "Ensemble", cases: Sequence[Case], subset: str) -> Iterator[Prediction]:
    """The mean of what the networks say of each case."""
    for start in range(0, len(cases), _BATCH):
        batch = cases[start : start + _BATCH]
        images = [read_grey(case.image) for case in batch]
        boxes = [Letterbox.fit(*image.shape, size=networks.size) for image in images]
        squares = np.stack([box.image_in(image) for box, image in zip(boxes, images, strict=True)])
        probability, logits = networks.predict(squares)
        for case, box, square, of_classes in zip(batch, boxes, probability, logits, strict=True):
            truth = read_merged_mask(case, box.height, box.width)
            yield Prediction(case, subset, truth, box.image_out(square), of_classes)


def evaluate_set(
    name: str, cases: Sequence[Case], known: pd.DataFrame, networks: "Ensemble", fitted: Fitted
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The scores of a set, and what its figures can't be told from: images left out, and the calibration error."""
    new = known["known"] == ""
    chosen = [case for case, is_new in zip(cases, new, strict=True) if is_new]
    predicted = predict_together(networks, chosen, name)
    scores, levels = tabulate(map_on_all_cores(partial(score, fitted), predicted, f"score {name}", len(chosen)))
    left_out = {f"left out as {kind}": sorted(known.loc[known["known"] == kind, "id"]) for kind in ("repeat", "sweep")}
    facts = left_out | {"calibration error": figures.reliability(*levels[name])[1]}
    return scores.merge(known[new].drop(columns="known"), on="id", validate="many_to_one"), facts


def evaluate_all(loaded: Params, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The scores of all sets, which are copied to `folder`, and the figures of each."""
    sets = copy_sets(loaded.external, folder, loaded.data.max_gib)
    # Where sweeps are looked for, the encoder takes the processor, whatever the networks here run on.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        known = process.submit(find_known, sets, loaded).result()
    for name, table in known.items():
        check_new(name, table)
    # Here alone: Keras and its backend take seconds and hundreds of megabytes, for nothing where a set is refused.
    from breast_ultrasound.network import ensemble  # noqa: PLC0415

    networks = ensemble.Ensemble.open(load(ensemble.Settings))
    fitted = read_fitted(POSTPROCESS, ALL)
    internal = json.loads(figures.FIGURES.read_text(encoding="utf-8"))["test"]
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    tables, found = [], {}
    for name, cases in sets.items():
        scores, facts = evaluate_set(name, cases, known[name], networks, fitted)
        summary = figures.summarise(scores, test)
        tables.append(scores)
        found[name] = facts | {"networks": len(loaded.split.run)} | summary | {"fall": falls(internal, summary)}
    return pd.concat(tables), found


@command
def main() -> None:
    """Score all sets that params.yaml names."""
    loaded = load(Params)
    remove_other_folds(Path("models"), loaded.split.run)
    scores, found = pd.DataFrame(columns=["subset", "stage", "id"]), {}
    if loaded.external:
        with tempfile.TemporaryDirectory(dir=RAW.parent, prefix=".partial-") as folder:
            scores, found = evaluate_all(loaded, Path(folder))
    with written_aside(PER_IMAGE) as aside:
        scores.to_csv(aside, index=False, float_format="%.6f")
    with written_aside(FIGURES) as aside:
        aside.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    for name, told in found.items():
        repeats, swept = (len(told[f"left out as {kind}"]) for kind in ("repeat", "sweep"))
        images = told["after"]["all"]["images"]
        print(f"{name}: {images} images, left out: {repeats} as repeats of data/raw, {swept} as frames of its sweeps")


if __name__ == "__main__":
    main()
