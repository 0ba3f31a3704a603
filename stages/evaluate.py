"""Fit each fold's post-processing on held-out images, and score validation and test on the native grid.

Writes metrics/postprocess.json (what was fitted), metrics/scores.csv (two rows an image, before and after
post-processing), metrics/domain_shift.csv (the pixel counts of images under each domain shift), and from these two
tables alone metrics/figures.json (every figure with its interval) and metrics/summary.json (the few figures that runs
are compared by); metrics/plots holds the tables that are drawn, metrics/train the curves of the trainings.
Scores and the rule for empty masks: scoring/scores.py. Post-processing: answers/postprocess.py. What is fitted on which
images: answers/cross_fitting.py. Kinds of error: scoring/error_kinds.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing, read_postprocessing
from breast_ultrasound.answers.cross_fitting import StepSearch, fit_all, networks_to_fit_on
from breast_ultrasound.answers.held_out import read_held_out
from breast_ultrasound.answers.predictions import PREDICTIONS, PredictedFold, map_predictions, predictions
from breast_ultrasound.answers.rows import count_shifted, score, tabulate
from breast_ultrasound.cases.domain_shifts import DOMAIN_SHIFTS
from breast_ultrasound.cases.folds import GROUPS, Run, fitting_subset, read_folds, remove_other_folds
from breast_ultrasound.cases.prepared import PREPARED, Prepared
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write, write_json
from breast_ultrasound.pipeline.params import Between, Real, Section, Seed, Shares, Switch, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import FIGURES, PER_IMAGE, headline, summarise_run
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.pixels import Levels, calibration_error
from breast_ultrasound.scoring.plots import PLOTS, plot_tables
from breast_ultrasound.scoring.scores import add_scores
from breast_ultrasound.training.history import HISTORIES, put_into_git

SUMMARY = Path("metrics/summary.json")
DOMAIN_SHIFT_COUNTS = Path("metrics/domain_shift.csv")


class Postprocess(Section):
    """Values to try for each step from a probability to a mask, in the order of the fit."""

    image_probability: Shares
    threshold: Annotated[tuple[Between, ...], Field(strict=False, min_length=1, max_length=100)]
    smooth: Shares
    relative: Shares
    peak: Shares
    opening: Shares
    closing: Shares
    fill_holes: Switch
    part_area: Shares
    largest_only: Switch
    evidence: Shares


class Evaluate(Section):
    """The weight of a missed lesion in fitting."""

    missed_lesion: Annotated[Real, Field(ge=0, le=1000)]


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    split: Run
    postprocess: Postprocess
    evaluate: Evaluate
    intervals: Intervals


@dataclass(frozen=True)
class Fold:
    """A fold that is run: its predictions and the post-processing of its test images."""

    number: int
    predicted: PredictedFold
    postprocessing: Postprocessing

    def score(self, audit: pd.DataFrame) -> tuple[pd.DataFrame, Levels]:
        """Score the validation and test images, and count the test pixels [2, 256] of each level of probability."""
        work, label = partial(score, self.postprocessing), f"score fold {self.number}"
        scores, levels = tabulate(map_predictions(work, self.predicted, ["validation", "test"], label))
        scores = scores.merge(audit[["id", "source", "group", "marks"]], on="id", validate="many_to_one")
        scores.insert(0, "fold", self.number)
        return scores, levels["test"]

    def count_shifted(self, audit: pd.DataFrame) -> pd.DataFrame:
        """Count the pixels of the images that were predicted under each domain shift."""
        work, label = partial(count_shifted, self.postprocessing), f"score fold {self.number}, domain shift"
        table = pd.DataFrame(chain.from_iterable(map_predictions(work, self.predicted, DOMAIN_SHIFTS, label)))
        return table.merge(audit[["id", "group"]], on="id", validate="many_to_one").assign(fold=self.number)


def fit(loaded: Params, prepared: Prepared, audit: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Fit the post-processing of every fold, and of new images, on validation images, or without these on test images.

    No fold is fitted on its own test images.
    """
    folds = read_folds()
    subset = fitting_subset(folds)
    networks = {fold: read_held_out(fold, subset, prepared, audit) for fold in loaded.split.run}
    choice = StepSearch(loaded.postprocess.model_dump(), loaded.evaluate.missed_lesion, test)
    return fit_all(networks, networks_to_fit_on(loaded.split.run, folds), choice)


def write_tables(path: Path, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Write the tables of all folds as one, and read it back, so that figures follow from the file alone."""
    with atomic_write(path) as aside:
        pd.concat(tables).to_csv(aside, index=False, float_format="%.6f")
    return read_table(path)


def write_plots(scores: pd.DataFrame, levels: Levels) -> None:
    """Write the tables that are drawn, of the test images."""
    with atomic_write(PLOTS) as folder:
        folder.mkdir()
        for name, table in plot_tables(scores[scores["subset"] == "test"], levels).items():
            table.to_csv(folder / f"{name}.csv", index=False)


@command
def main() -> None:
    """Evaluate all folds that are run."""
    loaded = load(Params)
    for folder in (PREDICTIONS, HISTORIES):
        remove_other_folds(folder, loaded.split.run)
    put_into_git(loaded.split.run)
    prepared, cases, audit = Prepared.open(PREPARED), read_cases(RAW), read_table(GROUPS)
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    write_json(POSTPROCESS, fit(loaded, prepared, audit, test))
    folds = [
        Fold(
            fold,
            PredictedFold(predictions(fold), cases, prepared.index),
            read_postprocessing(POSTPROCESS, f"fold-{fold}"),
        )
        for fold in loaded.split.run
    ]
    results = [fold.score(audit) for fold in folds]
    levels = np.sum([test_levels for _, test_levels in results], axis=0)
    scores = write_tables(PER_IMAGE, [table for table, _ in results])
    shifted = write_tables(DOMAIN_SHIFT_COUNTS, [fold.count_shifted(audit) for fold in folds])
    write_plots(scores, levels)
    figures = summarise_run(scores, add_scores(shifted), test)
    figures["test"]["calibration error"] = calibration_error(levels)
    write_json(FIGURES, figures)
    # Short names, since `dvc exp show` makes a column of each.
    names = {"val": "validation", "test": "test"}
    write_json(SUMMARY, {short: headline(figures[name]) for short, name in names.items() if name in figures})


if __name__ == "__main__":
    main()
