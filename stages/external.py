"""Score the networks on external test sets, on which none of them was trained, chosen or tuned.

`external` in params.yaml names case tables, or folders and zips in the layout of BUSI. Each is verified like own data.
Images that overlap with data/raw, near-duplicates and further frames of its sweeps, are left out. The others are
predicted by the networks that are exported (network/ensemble.py) and post-processed as was fitted; scores and figures
follow the same rules as those of the test images.
Writes metrics/external.csv (two rows an image, before and after post-processing; `subset` is the name of the set) and
metrics/external.json (figures, and the generalisation gap from the internal test). Without a set both are empty, and
no network is loaded.
"""

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from breast_ultrasound.answers.answer import ALL, POSTPROCESS, Postprocessing, read_postprocessing
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.answers.rows import score, tabulate
from breast_ultrasound.auditing.quality import BURNED_PIXELS
from breast_ultrasound.auditing.search import Thresholds, find_relations
from breast_ultrasound.cases.folds import Exported, Run, remove_other_folds
from breast_ultrasound.cases.groups import group_by_patient, join_groups
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import RAW, Case, read_cases, read_merged_mask
from breast_ultrasound.inference.grid import to_grid, to_native
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Gib, Section, Seed, load
from breast_ultrasound.scans.scan import Frame
from breast_ultrasound.scoring import figures
from breast_ultrasound.scoring.external import FIGURES, PER_IMAGE, generalisation_gap
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.pixels import calibration_error
from breast_ultrasound.sources.own_data import copy_own_data

if TYPE_CHECKING:
    import keras

# Several networks see these and their mirror images at once.
_BATCH = 8

# How an external image may overlap with data/raw.
OVERLAPS = NEAR_DUPLICATE, SWEEP = "near-duplicate", "sweep"


class Archives(Section, extra="ignore"):
    """The size of an archive at most."""

    max_gib: Gib


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    seed: Seed
    data: Archives
    audit: Thresholds
    split: Run
    export: Exported
    # Checked by `ensemble.EnsembleSettings`, whose module loads Keras.
    hardware: dict[str, Any]
    predict: dict[str, Any]
    intervals: Intervals
    external: dict[Annotated[str, Field(pattern=r"^[a-z0-9][\w-]*$")], Annotated[str, Field(min_length=1)]]


@dataclass(frozen=True)
class ExternalSet:
    """The cases of a set and the table of them that `relate` makes."""

    name: str
    cases: Sequence[Case]
    table: pd.DataFrame

    @property
    def new_cases(self) -> list[Case]:
        """Return the cases that do not overlap with data/raw."""
        return [case for case, overlap in zip(self.cases, self.table["overlap"], strict=True) if not overlap]

    def overlapping(self, kind: str) -> list[str]:
        """Return the ids of the cases that overlap with data/raw in one of OVERLAPS."""
        return sorted(self.table.loc[self.table["overlap"] == kind, "id"])


def copy_sets(sets: dict[str, str], folder: Path, max_gib: float) -> dict[str, list[Case]]:
    """Copy each set to `folder` and return its verified cases; UserError, with its name, if one cannot be used."""
    copied = {}
    for name, archive in sets.items():
        root = folder / name
        root.mkdir()
        try:
            copied[name] = copy_own_data(Path(archive), root, max_gib)
        except UserError as error:
            raise UserError(f"external.{name}: {error}") from error
    return copied


def relate(sets: dict[str, list[Case]], thresholds: Thresholds, seed: int) -> list[ExternalSet]:
    """Return the sets, each with a table of a row a case: `id`, `source`, `group`, `marks` and `overlap`.

    `overlap` is NEAR_DUPLICATE for a near-duplicate of an image of data/raw, SWEEP for another frame of a sweep of
    data/raw, or empty.
    """
    own = read_cases(RAW)
    every = [*own, *itertools.chain.from_iterable(sets.values())]
    relations = find_relations(every, thresholds, imagenet_encoder, seed, RAW.parent)
    same_frame, same_sweep = (np.isin(of, of[: len(own)]) for of in (relations.frames, relations.sweeps))
    table = pd.DataFrame(
        {
            "id": relations.figures["id"],
            "source": relations.figures["source"],
            "group": relations.sweeps,
            "marks": (relations.figures["burned_pixels"] >= BURNED_PIXELS).astype(int),
            "overlap": np.select([same_frame, same_sweep], OVERLAPS, ""),
        }
    )
    ends = np.cumsum([len(own), *map(len, sets.values())])
    related = []
    for (name, cases), (start, end) in zip(sets.items(), itertools.pairwise(ends), strict=True):
        # A patient's name has a meaning within its set alone.
        patients = group_by_patient(relations.figures["patient"][start:end])
        rows = table[start:end].assign(group=join_groups(relations.sweeps[start:end], patients)).reset_index(drop=True)
        related.append(ExternalSet(name, cases, rows))
    return related


def check_new(external: ExternalSet) -> None:
    """UserError if all images of a set overlap with data/raw."""
    if not external.new_cases:
        overlap = "images are near-duplicates of data/raw, or frames of its sweeps"
        raise UserError(f"external.{external.name}: all {len(external.cases)} {overlap}. Name another set.")


def predict(ensemble: "keras.Model", cases: Sequence[Case], subset: str) -> Iterator[Prediction]:
    """Yield the prediction for each case by the mean of several networks, whose class probabilities are calibrated."""
    from breast_ultrasound.network.ensemble import predict_mean  # noqa: PLC0415  loads Keras, in seconds

    size = ensemble.input_shape[1]
    for start in range(0, len(cases), _BATCH):
        batch = cases[start : start + _BATCH]
        frames = [Frame.without_region(read_grey(case.image), number=1) for case in batch]
        probability, classes = predict_mean(ensemble, np.stack([to_grid(frame, size) for frame in frames]))
        # Logarithms of probabilities are logits that a temperature of 1 leaves calibrated.
        logits = np.log(np.maximum(classes.astype(float), np.finfo(float).tiny))
        for case, frame, grid, case_logits in zip(batch, frames, probability, logits, strict=True):
            truth = read_merged_mask(case, *frame.whole.shape)
            yield Prediction(case, subset, truth, to_native(frame, grid), case_logits)


def score_set(
    external: ExternalSet, ensemble: "keras.Model", postprocessing: Postprocessing
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the scores of a set, and what does not follow from them: images left out, and the calibration error."""
    cases, name = external.new_cases, external.name
    scorer = partial(score, replace(postprocessing, temperature=1.0))
    scores, levels = tabulate(map_on_all_cores(scorer, predict(ensemble, cases, name), f"score {name}", len(cases)))
    facts: dict[str, Any] = {f"left out as {kind}": external.overlapping(kind) for kind in OVERLAPS}
    facts |= {"calibration error": calibration_error(levels[name])}
    table = external.table[external.table["overlap"] == ""].drop(columns="overlap")
    return scores.merge(table, on="id", validate="many_to_one"), facts


def evaluate_all(params: Params, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Copy all sets to `folder`; return their scores, and the figures of each by name."""
    copied = copy_sets(params.external, folder, params.data.max_gib)
    # In a process of its own: the encoder that finds sweeps takes the processor, whatever the networks here run on.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        sets = process.submit(relate, copied, params.audit, params.seed).result()
    for external in sets:
        check_new(external)
    # Here alone: Keras and its backend take seconds and hundreds of megabytes, for nothing if a set is refused.
    from breast_ultrasound.network.ensemble import EnsembleSettings, open_ensemble  # noqa: PLC0415

    postprocessing = read_postprocessing(POSTPROCESS, ALL)
    ensemble = open_ensemble(load(EnsembleSettings), postprocessing.temperature)
    internal = json.loads(figures.FIGURES.read_text(encoding="utf-8"))["test"]
    test = PairedTest(params.intervals.draws, params.intervals.confidence, params.seed)
    tables, results = [], {}
    for external in sets:
        scores, facts = score_set(external, ensemble, postprocessing)
        summary = figures.summarise(scores, test)
        gap = {"generalisation gap": generalisation_gap(internal, summary)}
        tables.append(scores)
        results[external.name] = facts | {"networks": len(params.export.among(params.split.run))} | summary | gap
    return pd.concat(tables), results


@command
def main() -> None:
    """Score all sets that params.yaml names."""
    params = load(Params)
    remove_other_folds(Path("models"), params.split.run)
    scores, results = pd.DataFrame(columns=["subset", "postprocessing", "id"]), {}
    if params.external:
        with tempfile.TemporaryDirectory(dir=RAW.parent, prefix=".partial-") as folder:
            scores, results = evaluate_all(params, Path(folder))
    with atomic_write(PER_IMAGE) as aside:
        scores.to_csv(aside, index=False, float_format="%.6f")
    with atomic_write(FIGURES) as aside:
        aside.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
    for name, result in results.items():
        repeated, swept = (len(result[f"left out as {kind}"]) for kind in OVERLAPS)
        images = result["after"]["all"]["images"]
        print(
            f"{name}: {images} images; left out: {repeated} near-duplicates of data/raw, {swept} frames of its sweeps"
        )


if __name__ == "__main__":
    main()
