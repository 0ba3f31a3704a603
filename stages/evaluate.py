"""Choose each fold's threshold on its validation images, and score validation and test on the native grid.

Writes metrics/postprocess.json (the threshold of each fold), metrics/scores.csv (a row an image, with pixel counts) and
metrics/summary.json, derived from the scores alone. Scores and the rule for empty masks: stages/common/scores.py.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common import params, paths
from stages.common.errors import command
from stages.common.files import written_aside
from stages.common.postprocess import binary_mask, cut
from stages.common.predictions import Prediction, map_predictions
from stages.common.prepared import read_index
from stages.common.release import CLASSES, Case, scan
from stages.common.scores import SCORES, add_scores, count, dice

THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)

Levels = NDArray[np.int64]


def counts_by_level(prediction: Prediction) -> tuple[str, Levels, Levels, int]:
    """Subset, true and false positives if the mask began at each level 0 to 255, and pixels of the lesion."""
    inside = np.bincount(prediction.probability[prediction.truth], minlength=256)
    all_pixels = np.bincount(prediction.probability.ravel(), minlength=256)
    from_top = [np.cumsum(counts[::-1])[::-1] for counts in (inside, all_pixels - inside)]
    return prediction.subset, from_top[0], from_top[1], int(inside.sum())


def fit_threshold(tp: NDArray[np.int64], fp: NDArray[np.int64], lesion: NDArray[np.int64]) -> float:
    """The threshold with the best mean Dice over all images, normal ones included; of equals the lowest.

    `tp` and `fp` are [images, 256], `lesion` [images].
    """
    levels = [cut(threshold) for threshold in THRESHOLDS]
    means = dice(tp[:, levels], fp[:, levels], lesion[:, None] - tp[:, levels]).mean(axis=0)
    return float(THRESHOLDS[means.argmax()])


def score(threshold: float, prediction: Prediction) -> dict[str, Any]:
    """One row of the scores: id, class, subset and counts."""
    predicted = binary_mask(prediction.probability, threshold)
    case = prediction.case
    return {"subset": prediction.subset, "id": case.id, "class": case.cls, **count(predicted, prediction.truth)}


def evaluate_fold(fold: int, cases: Sequence[Case], index: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The threshold fitted on a fold's validation images, and the scores of its validation and test images."""
    predictions = partial(map_predictions, folder=paths.predictions(fold), cases=cases, index=index)
    levels: Iterator[tuple[str, Levels, Levels, int]] = predictions(counts_by_level, label=f"fit fold {fold}")
    _, *counts = zip(*(row for row in levels if row[0] == "validation"), strict=True)
    threshold = fit_threshold(*(np.array(part) for part in counts))
    rows = predictions(partial(score, threshold), label=f"score fold {fold}")
    scores = add_scores(pd.DataFrame(rows))
    scores.insert(0, "fold", fold)
    return threshold, scores


def summarise(scores: pd.DataFrame) -> dict[str, Any]:
    """Mean scores per image over lesion images, each class and all, and the share of normal images left clean.

    Undefined scores are left out of a mean; a group without images, or a mean without any value, is left out itself.
    """
    subsets = {"lesion": scores[scores["class"] != "normal"]}
    subsets |= {cls: scores[scores["class"] == cls] for cls in CLASSES} | {"all": scores}
    summary: dict[str, Any] = {}
    for name, group in subsets.items():
        if len(group):
            means = group[list(SCORES)].mean().dropna().round(4)
            summary[name] = {"images": len(group), **means.to_dict()}
    if "normal" in summary:
        normal = subsets["normal"]
        summary["normal"]["clean"] = round(float((normal["tp"] + normal["fp"] == 0).mean()), 4)
    return summary


@command
def main() -> None:
    """Evaluate all folds that were run."""
    folds = params.load().split.run
    cases, index = scan(paths.RAW), read_index(paths.PREPARED)
    results = {fold: evaluate_fold(fold, cases, index) for fold in folds}
    scores = pd.concat([table for _, table in results.values()], ignore_index=True)
    summary = {subset: summarise(group) for subset, group in scores.groupby("subset")}
    chosen = {f"fold-{fold}": {"threshold": threshold} for fold, (threshold, _) in results.items()}
    with written_aside(paths.SCORES) as aside:
        scores.to_csv(aside, index=False, float_format="%.6f")
    for path, content in ((paths.SUMMARY, summary), (paths.POSTPROCESS, chosen)):
        with written_aside(path) as aside:
            aside.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
