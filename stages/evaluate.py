"""Fit each fold's post-processing on its validation images, and score validation and test on the native grid.

Writes metrics/postprocess.json (what was fitted), metrics/scores.csv (a row an image before and after post-processing),
and from these scores alone metrics/figures.json (every figure with its interval) and metrics/summary.json (the few that
runs are compared by); metrics/plots holds the tables that are drawn. Scores and the rule for empty masks:
stages/scoring/scores.py. Post-processing: stages/scoring/postprocess.py. Kinds of error: stages/scoring/error_kinds.py.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.cases.folds import GROUPS, Run, remove_other_folds
from stages.cases.prepared import PREPARED, Prepared, letterboxes
from stages.cases.release import RAW, Case, scan
from stages.pipeline.engine import map_on_all_cores
from stages.pipeline.errors import command
from stages.pipeline.files import written_aside
from stages.pipeline.params import NotNegative, Section, Seed, load
from stages.scoring import figures
from stages.scoring.error_kinds import classify, fragments
from stages.scoring.figures import FIGURES, PER_IMAGE, PLOTS
from stages.scoring.intervals import Intervals
from stages.scoring.lesions import has_lesion
from stages.scoring.paired import PairedTest
from stages.scoring.postprocess import POSTPROCESS, Postprocess, Steps, binary_mask, fit, read_steps
from stages.scoring.predictions import (
    CLASS_PROBABILITIES,
    PREDICTIONS,
    PROBABILITY,
    Prediction,
    map_predictions,
    predictions,
    read_rows,
)
from stages.scoring.scores import add_scores, count, dice, surface_distances

SUMMARY = Path("metrics/summary.json")

Levels = NDArray[np.int64]


class Evaluate(Section):
    """Fitting."""

    least_gain: NotNegative


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    split: Run
    postprocess: Postprocess
    evaluate: Evaluate
    intervals: Intervals


def objective(fold: int, prepared: Prepared) -> Callable[[Steps], float]:
    """Mean Dice over a fold's validation images, normal ones included, on the prepared grid without its padding."""
    rows = read_rows(predictions(fold))
    probability = np.load(predictions(fold) / PROBABILITY, mmap_mode="r")
    where = prepared.index.reset_index().set_index("id")["index"].loc[rows["id"]].to_numpy()
    boxes = letterboxes(prepared.index)
    validation = np.flatnonzero(rows["subset"] == "validation").tolist()

    def score_one(steps: Steps, row: int) -> dict[str, int]:
        content = boxes[where[row]].content
        return count(binary_mask(content(probability[row]), steps), content(prepared.masks[where[row]]) > 0)

    def measure(steps: Steps) -> float:
        counts = pd.DataFrame(map_on_all_cores(partial(score_one, steps), validation))
        return float(dice(*(counts[name].to_numpy() for name in ("tp", "fp", "fn"))).mean())

    return measure


def score(steps: Steps, prediction: Prediction) -> tuple[list[dict[str, Any]], Levels]:
    """Two rows of scores, before and after post-processing, and the pixels [2, 256] of each level in and off lesion."""
    truth, probability, case = prediction.truth, prediction.probability, prediction.case
    rows = []
    for stage, chosen in (("before", Steps()), ("after", steps)):
        predicted = binary_mask(probability, chosen)
        image = {"subset": prediction.subset, "stage": stage, "id": case.id, "class": case.cls}
        area = {
            "lesion_share": truth.mean(),
            "predicted_share": predicted.mean(),
            "peak": probability.max() / 255,
            "fragments": fragments(predicted, truth),
        }
        rows.append(image | area | count(predicted, truth) | surface_distances(predicted, truth))
    inside = np.bincount(probability[truth], minlength=256)
    return rows, np.stack([inside, np.bincount(probability.ravel(), minlength=256) - inside])


def evaluate_fold(
    fold: int, steps: Steps, cases: Sequence[Case], index: pd.DataFrame, audit: pd.DataFrame
) -> tuple[pd.DataFrame, Levels]:
    """The scores of a fold's validation and test images, and the test pixels [2, 256] of each level."""
    scored = list(map_predictions(partial(score, steps), predictions(fold), cases, index, f"score fold {fold}"))
    scores = add_scores(pd.DataFrame([row for rows, _ in scored for row in rows]))
    scores["kind"] = classify(scores)
    scores = scores.merge(audit[["id", "group", "marks"]], on="id", validate="many_to_one")
    classes = read_rows(predictions(fold)).reindex(columns=["id", *CLASS_PROBABILITIES]).dropna(axis=1, how="all")
    scores = scores.merge(classes, on="id", validate="many_to_one")
    scores.insert(0, "fold", fold)
    tested = [levels for rows, levels in scored if rows[0]["subset"] == "test"]
    return scores, np.sum(tested, axis=0)


def fit_fold(fold: int, loaded: Params, prepared: Prepared) -> dict[str, Any]:
    """What was fitted on a fold's validation images, and the objective before and after."""
    measure = objective(fold, prepared)
    candidates = {name: getattr(loaded.postprocess, name) for name in type(loaded.postprocess).model_fields}
    steps, reached = fit(candidates, measure, loaded.evaluate.least_gain)
    gained = {"validation_dice_before": measure(Steps()), "validation_dice_after": reached}
    return asdict(steps) | {name: round(value, 4) for name, value in gained.items()}


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


def figures_by_subset(scores: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Every figure of the validation and of the test images, all folds together, and each fold's headline on test."""
    found = {subset: figures.summarise(scores[scores["subset"] == subset], test) for subset in ("validation", "test")}
    tested = scores[scores["subset"] == "test"]
    folds = {f"fold-{fold}": figures.headline(figures.summarise(group, test)) for fold, group in tested.groupby("fold")}
    return found | {"test by fold": folds}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file for people and programs."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


@command
def main() -> None:
    """Evaluate all folds that were run."""
    loaded = load(Params)
    remove_other_folds(PREDICTIONS, loaded.split.run)
    prepared, cases, audit = Prepared.open(PREPARED), scan(RAW), pd.read_csv(GROUPS)
    fitted = {f"fold-{fold}": fit_fold(fold, loaded, prepared) for fold in loaded.split.run}
    write_json(POSTPROCESS, fitted)
    results = [
        evaluate_fold(fold, read_steps(POSTPROCESS, f"fold-{fold}"), cases, prepared.index, audit)
        for fold in loaded.split.run
    ]
    with written_aside(PER_IMAGE) as aside:
        pd.concat([scores for scores, _ in results]).to_csv(aside, index=False, float_format="%.6f")
    scores = pd.read_csv(PER_IMAGE)
    with written_aside(PLOTS) as folder:
        error = plots(scores[scores["subset"] == "test"], np.sum([levels for _, levels in results], axis=0), folder)
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    found = figures_by_subset(scores, test)
    found["test"]["calibration error"] = error
    write_json(FIGURES, found)
    # Short names, since `dvc exp show` makes a column of each.
    write_json(SUMMARY, {"val": figures.headline(found["validation"]), "test": figures.headline(found["test"])})


if __name__ == "__main__":
    main()
