"""The scores of the answers for images, as rows of a table, before and after post-processing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from breast_ultrasound.answers.answer import Answer, Postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.scoring.classification import CLASS_PROBABILITIES
from breast_ultrasound.scoring.error_kinds import classify
from breast_ultrasound.scoring.mask import measure
from breast_ultrasound.scoring.pixels import Levels, count_levels
from breast_ultrasound.scoring.scores import add_scores, count

Row: TypeAlias = dict[str, Any]


def before_and_after(postprocessing: Postprocessing, prediction: Prediction) -> dict[str, Answer]:
    """Return the answers for an image without the steps of post-processing, and with them, both calibrated."""
    return {
        when: chosen.answer(prediction.probability, prediction.logits)
        for when, chosen in (("before", replace(postprocessing, steps=Steps())), ("after", postprocessing))
    }


def score(postprocessing: Postprocessing, prediction: Prediction) -> tuple[list[Row], Levels]:
    """Return two rows of scores of an image, before and after post-processing, and its pixels [2, 256] by level."""
    truth, probability, case = prediction.truth, prediction.probability, prediction.case
    rows = []
    for when, answer in before_and_after(postprocessing, prediction).items():
        image = {"subset": prediction.subset, "postprocessing": when, "id": case.id, "class": case.cls}
        confidence = dict(zip(CLASS_PROBABILITIES, answer.class_probabilities, strict=False))
        confidence |= {"predicted_dice": answer.predicted_dice}
        rows.append(image | measure(answer.mask, truth, probability.max() / 255) | confidence)
    return rows, count_levels(probability, truth)


def count_shifted(postprocessing: Postprocessing, prediction: Prediction) -> list[Row]:
    """Return two rows of pixel counts of an image under a domain shift, before and after post-processing."""
    image = {"domain_shift": prediction.subset, "id": prediction.case.id, "class": prediction.case.cls}
    return [
        image | {"postprocessing": when} | count(answer.mask, prediction.truth)
        for when, answer in before_and_after(postprocessing, prediction).items()
    ]


def tabulate(scored: Iterable[tuple[list[Row], Levels]]) -> tuple[pd.DataFrame, dict[str, Levels]]:
    """Return the table of what `score` returns for many images, and the pixels [2, 256] of each level by subset.

    The table has all scores and the kind of error of each row.
    """
    rows, levels = [], defaultdict(lambda: np.zeros((2, 256), np.int64))
    for image_rows, image_levels in scored:
        rows += image_rows
        levels[image_rows[0]["subset"]] += image_levels
    scores = add_scores(pd.DataFrame(rows))
    return scores.assign(kind=classify(scores)), levels
