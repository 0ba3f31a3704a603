"""Fit each fold's post-processing on its validation images, and score validation and test on the native grid.

Writes metrics/postprocess.json (what was fitted), metrics/scores.csv (a row an image before and after post-processing),
metrics/other_scanners.csv (the same counts of the validation images as other scanners might have shown them), and from
these tables alone metrics/figures.json (every figure with its interval) and metrics/summary.json (the few that runs are
compared by); metrics/plots holds the tables that are drawn, metrics/train the curves of the trainings. Scores and the
rule for empty masks: scoring/scores.py. Post-processing: answers/postprocess.py. What is fitted:
answers/fitting.py. Kinds of error: scoring/error_kinds.py.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from breast_ultrasound.answers.answer import ALL, POSTPROCESS, Fitted, read_fitted
from breast_ultrasound.answers.fitting import fit_estimate, fit_steps, fit_temperature, utility
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import (
    PREDICTIONS,
    PROBABILITY,
    Prediction,
    class_logits,
    map_predictions,
    predictions,
    read_rows,
)
from breast_ultrasound.cases.folds import FOLDS, GROUPS, Run, remove_other_folds
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.cases.raw import RAW, Case, read_cases
from breast_ultrasound.cases.scanners import SCANNERS
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Between, NotNegative, Section, Seed, Shares, Switch, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring import figures
from breast_ultrasound.scoring.figures import FIGURES, PER_IMAGE, PLOTS
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.lesions import has_lesion
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.rows import Levels, score, tabulate
from breast_ultrasound.scoring.scores import add_scores, count, dice
from breast_ultrasound.training.history import HISTORIES, put_into_git

SUMMARY = Path("metrics/summary.json")
OTHER_SCANNERS = Path("metrics/other_scanners.csv")


class Postprocess(Section):
    """Values tried for each step from a probability to a mask, in the order of the steps."""

    smooth: Shares
    threshold: Annotated[tuple[Between, ...], Field(strict=False, min_length=1)]
    relative: Shares
    peak: Shares
    opening: Shares
    closing: Shares
    fill_holes: Switch
    part_area: Shares
    largest_only: Switch
    evidence: Shares
    chance: Shares


class Evaluate(Section):
    """Fitting."""

    lost_lesion: NotNegative


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    split: Run
    postprocess: Postprocess
    evaluate: Evaluate
    intervals: Intervals


@dataclass(frozen=True)
class Validation:
    """One network's validation images, on the prepared grid without its padding.

    `images` holds the probability and the true mask, 0/1, of each, uint8 [height, width] that stay in their files; the
    other fields its group, its class as the place in CLASSES, and its class logits [n, 3], or [n, 0] of a network
    without a class head.
    """

    images: list[tuple[Grey, Grey]]
    groups: NDArray[np.int64]
    classes: NDArray[np.int64]
    logits: NDArray[np.float64]

    @classmethod
    def read(cls, fold: int, prepared: Prepared, audit: pd.DataFrame) -> "Validation":
        """Read those of the network that tests `fold`."""
        rows = read_rows(predictions(fold)).query("subset == 'validation'")
        where = prepared.index.reset_index().set_index("id")["index"].loc[rows["id"]].to_numpy()
        probability = np.load(predictions(fold) / PROBABILITY, mmap_mode="r")
        images = [
            (box.content(probability[row]), box.content(prepared.masks[place]))
            for row, place, box in zip(rows.index, where, letterboxes(prepared.index.iloc[where]), strict=True)
        ]
        groups = audit.set_index("id")["group"].loc[rows["id"]].to_numpy()
        return cls(images, groups, prepared.classes[where], class_logits(rows))

    def answers(self, fitted: Fitted) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each image the Dice [n] of its mask, and the Dice to be expected [n]."""

        def answer(image: int) -> tuple[float, float]:
            probability, truth = self.images[image]
            found = fitted.answer(probability, self.logits[image])
            counts = count(found.mask, truth > 0)
            return float(dice(*(np.array(counts[name]) for name in ("tp", "fp", "fn")))), found.dice

        reached, expected = zip(*map_on_all_cores(answer, range(len(self.images))), strict=True)
        return np.array(reached), np.array(expected)

    def worth(self, fitted: Fitted, lost_lesion: float) -> NDArray[np.float64]:
        """What the mask of each image is worth [n]."""
        lesion = np.array([truth.any() for _, truth in self.images])
        return utility(self.answers(fitted)[0], lesion, lost_lesion)


def pools(run: Sequence[int], folds: int) -> dict[int, list[int]]:
    """For each fold of `run` the networks, by the fold that they test, on whose validation images to fit.

    They are all but the one that has the fold's own test images among them.
    """
    return {fold: [other for other in run if (other + 1) % folds != fold] for fold in run}


def fit_all(networks: dict[int, Validation], folds: int, loaded: Params, test: PairedTest) -> dict[str, Any]:
    """What is fitted for each fold's test images and for new images, by the name of the entry.

    Each network's classes are calibrated by its own validation images, and masks by those of several networks.
    """
    bare = {fold: Fitted(temperature=fit_temperature(of.logits, of.classes)) for fold, of in networks.items()}
    logits, classes = (
        np.concatenate([getattr(of, name) for of in networks.values()]) for name in ("logits", "classes")
    )

    @functools.cache
    def worth(fold: int, steps: Steps) -> NDArray[np.float64]:
        return networks[fold].worth(replace(bare[fold], steps=steps), loaded.evaluate.lost_lesion)

    def fit(pool: Sequence[int], temperature: float) -> dict[str, Any]:
        groups = np.concatenate([networks[fold].groups for fold in pool])

        def worths(steps: Steps) -> NDArray[np.float64]:
            return np.concatenate([worth(fold, steps) for fold in pool])

        steps = fit_steps(
            loaded.postprocess.model_dump(),
            worths,
            lambda gained: test.mean(gained, groups).verdict == "more than noise",
        )
        answers = [networks[fold].answers(replace(bare[fold], steps=steps)) for fold in pool]
        reached, agreements = (np.concatenate(values) for values in zip(*answers, strict=True))
        told = {"before": worths(Steps()).mean(), "after": worths(steps).mean()}
        fitted = Fitted(steps, temperature, fit_estimate(agreements, reached)).to_json()
        fitted["validation_images"] = len(reached)
        return fitted | {f"validation_{name}": round(float(value), 4) for name, value in told.items()}

    of_fold = pools(list(networks), folds)
    fitted = {f"fold-{fold}": fit(pool, bare[fold].temperature) for fold, pool in of_fold.items()}
    return fitted | {ALL: fit(list(networks), fit_temperature(logits, classes))}


def evaluate_fold(
    fold: int, fitted: Fitted, cases: Sequence[Case], index: pd.DataFrame, audit: pd.DataFrame
) -> tuple[pd.DataFrame, Levels]:
    """The scores of a fold's validation and test images, and the test pixels [2, 256] of each level."""
    subsets, folder, label = ["validation", "test"], predictions(fold), f"score fold {fold}"
    scores, levels = tabulate(map_predictions(partial(score, fitted), folder, subsets, cases, index, label))
    scores = scores.merge(audit[["id", "group", "marks"]], on="id", validate="many_to_one")
    scores.insert(0, "fold", fold)
    return scores, levels["test"]


def count_changed(fitted: Fitted, prediction: Prediction) -> list[dict[str, Any]]:
    """Two rows of counts, before and after post-processing, of an image as another scanner might have shown it."""
    image = {"scanner": prediction.subset, "id": prediction.case.id, "class": prediction.case.cls}
    masks = {
        stage: replace(fitted, steps=steps).answer(prediction.probability, prediction.logits).mask
        for stage, steps in (("before", Steps()), ("after", fitted.steps))
    }
    return [image | {"stage": stage} | count(mask, prediction.truth) for stage, mask in masks.items()]


def evaluate_changed(
    fold: int, fitted: Fitted, cases: Sequence[Case], index: pd.DataFrame, audit: pd.DataFrame
) -> pd.DataFrame:
    """The counts of a fold's validation images as other scanners might have shown them."""
    work, label = partial(count_changed, fitted), f"score fold {fold}, other scanners"
    counted = map_predictions(work, predictions(fold), SCANNERS, cases, index, label)
    table = pd.DataFrame([row for rows in counted for row in rows])
    return table.merge(audit[["id", "group"]], on="id", validate="many_to_one").assign(fold=fold)


def plots(tested: pd.DataFrame, levels: Levels, folder: Path) -> float:
    """Write the tables that are drawn, of the test images, and return the expected calibration error."""
    folder.mkdir()
    before, after = (tested[tested["stage"] == stage].reset_index(drop=True) for stage in ("before", "after"))
    bins, error = figures.reliability(*levels)
    by_size = after.loc[has_lesion(after), ["id", "class", "lesion_share", "dice"]].round(4)
    tables = {
        "precision_recall": figures.precision_recall(*levels),
        "reliability": bins,
        "dice_by_size": by_size,
        "dice_distribution": figures.dice_distribution(after),
        "error_kinds": pd.DataFrame({"before": before["kind"], "after": after["kind"]}),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return error


def figures_by_subset(scores: pd.DataFrame, changed: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Every figure of the validation and of the test images, all folds together, and each fold's headline on test.

    `changed` are the counts of the validation images as other scanners might have shown them.
    """
    found = {subset: figures.summarise(scores[scores["subset"] == subset], test) for subset in ("validation", "test")}
    tested = scores[scores["subset"] == "test"]
    folds = {f"fold-{fold}": figures.headline(figures.summarise(group, test)) for fold, group in tested.groupby("fold")}
    scanners = {scanner: figures.before_and_after(group, test) for scanner, group in changed.groupby("scanner")}
    return found | {"test by fold": folds, "validation as by other scanners": scanners}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file for people and programs."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a row an image, from which alone the figures are made."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, float_format="%.6f")


@command
def main() -> None:
    """Evaluate all folds that were run."""
    loaded = load(Params)
    for folder in (PREDICTIONS, HISTORIES):
        remove_other_folds(folder, loaded.split.run)
    put_into_git(loaded.split.run)
    prepared, cases, audit = Prepared.open(PREPARED), read_cases(RAW), read_table(GROUPS)
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    folds = read_table(FOLDS)["fold"].max() + 1
    networks = {fold: Validation.read(fold, prepared, audit) for fold in loaded.split.run}
    write_json(POSTPROCESS, fit_all(networks, folds, loaded, test))
    fitted = {fold: read_fitted(POSTPROCESS, f"fold-{fold}") for fold in loaded.split.run}
    results = [evaluate_fold(fold, found, cases, prepared.index, audit) for fold, found in fitted.items()]
    write_table(PER_IMAGE, pd.concat([scores for scores, _ in results]))
    changed = [evaluate_changed(fold, found, cases, prepared.index, audit) for fold, found in fitted.items()]
    write_table(OTHER_SCANNERS, pd.concat(changed))
    scores = read_table(PER_IMAGE)
    with written_aside(PLOTS) as folder:
        error = plots(scores[scores["subset"] == "test"], np.sum([levels for _, levels in results], axis=0), folder)
    found = figures_by_subset(scores, add_scores(read_table(OTHER_SCANNERS)), test)
    found["test"]["calibration error"] = error
    write_json(FIGURES, found)
    # Short names, since `dvc exp show` makes a column of each.
    write_json(SUMMARY, {"val": figures.headline(found["validation"]), "test": figures.headline(found["test"])})


if __name__ == "__main__":
    main()
