"""One mask: what is measured of it, from which all scores follow, and all its scores, for notebooks."""

import pandas as pd

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scoring.error_kinds import fragments
from breast_ultrasound.scoring.scores import add_scores, count, surface_distances


def score_mask(predicted: Mask, truth: Mask) -> dict[str, float]:
    """Return the pixel counts and all scores of a mask, both bool [height, width]; undefined scores are NaN.

    >>> import numpy as np
    >>> truth = np.zeros((100, 100), bool)
    >>> truth[20:40, 20:40] = True
    >>> scores = score_mask(np.roll(truth, 2, axis=1), truth)
    >>> scores["tp"], scores["dice"], scores["hd95"]
    (360.0, 0.9, 2.0)
    """
    scores = add_scores(pd.DataFrame([count(predicted, truth)]))
    return {str(name): float(value) for name, value in scores.iloc[0].items()} | surface_distances(predicted, truth)


def measure(predicted: Mask, truth: Mask, peak: float) -> dict[str, float]:
    """Return what is measured of a mask, both bool [height, width], by the columns of metrics/scores.csv.

    `peak` is the highest probability of a pixel, NaN where there is none. `add_scores` and `classify` add the columns
    that follow from these.
    """
    area = {
        "lesion_share": truth.mean(),
        "predicted_share": predicted.mean(),
        "peak": peak,
        "fragments": fragments(predicted, truth),
    }
    return area | count(predicted, truth) | surface_distances(predicted, truth)
