"""The scores of images, as the rows of tables of scores."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Fitted
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.scoring.classification import CLASS_PROBABILITIES
from breast_ultrasound.scoring.error_kinds import classify, fragments
from breast_ultrasound.scoring.scores import add_scores, count, surface_distances

# Pixels [2, 256] of each level of probability, inside lesions and outside.
Levels: TypeAlias = NDArray[np.int64]


def score(fitted: Fitted, prediction: Prediction) -> tuple[list[dict[str, Any]], Levels]:
    """Two rows of scores, before and after post-processing, and the pixels [2, 256] of each level in and off lesion."""
    truth, probability, case = prediction.truth, prediction.probability, prediction.case
    rows = []
    for stage, chosen in (("before", replace(fitted, steps=Steps())), ("after", fitted)):
        answer = chosen.answer(probability, prediction.logits)
        image = {"subset": prediction.subset, "stage": stage, "id": case.id, "class": case.cls}
        area = {
            "lesion_share": truth.mean(),
            "predicted_share": answer.mask.mean(),
            "peak": probability.max() / 255,
            "fragments": fragments(answer.mask, truth),
        }
        sure = dict(zip(CLASS_PROBABILITIES, answer.classes, strict=False)) | {"expected_dice": answer.dice}
        rows.append(image | area | count(answer.mask, truth) | surface_distances(answer.mask, truth) | sure)
    inside = np.bincount(probability[truth], minlength=256)
    return rows, np.stack([inside, np.bincount(probability.ravel(), minlength=256) - inside])


def tabulate(scored: Iterable[tuple[list[dict[str, Any]], Levels]]) -> tuple[pd.DataFrame, dict[str, Levels]]:
    """The table of what `score` gives of many images, with all scores and the kinds of error, and by subset the pixels
    [2, 256] of each level.
    """
    rows, levels = [], defaultdict(lambda: np.zeros((2, 256), np.int64))
    for of_image, pixels in scored:
        rows += of_image
        levels[of_image[0]["subset"]] += pixels
    scores = add_scores(pd.DataFrame(rows))
    return scores.assign(kind=classify(scores)), levels
