"""Score a submission image by image, by the rules of `scoring`."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from breast_ultrasound.answers.rows import Row, tabulate
from breast_ultrasound.cases.images import merge_masks, read_mask
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scoring.classification import CLASS_PROBABILITIES
from breast_ultrasound.scoring.mask import measure
from breast_ultrasound.scoring.pixels import Levels, count_levels
from breast_ultrasound.submissions.images_to_score import ImagesToScore
from breast_ultrasound.submissions.scored import write_mask
from breast_ultrasound.submissions.submission import Submission

_SUBSET = "test"


def score_submission(submission: Submission, images: ImagesToScore, folder: Path) -> tuple[pd.DataFrame, Levels]:
    """Return the scores of the tested images, a row each with the columns of metrics/scores.csv, and their pixels.

    The masks are written to `folder`, that of the system. The pixels [2, 256] are those of each level of
    probability; all are 0 where there are no probabilities. UserError names all that is wrong with the submission.
    """
    work = partial(_score, submission, folder)
    cases = [case for case in images.cases if submission.holds(case.id)]
    results = list(map_on_all_cores(work, cases, "score"))
    unread = "\n".join(str(result) for result in results if isinstance(result, UserError))
    faults = [*submission.faults, *unread.splitlines()]
    scored = [result for result in results if not isinstance(result, UserError)]
    if not faults and submission.probabilities and all(row["peak"] <= 1 / 255 for rows, _ in scored for row in rows):
        faults.append("no probability of any image is above 1/255. Labels 0 and 1 are masks, not probabilities.")
    if faults:
        raise UserError("\n".join([f"nothing was scored, faults: {len(faults)}", *faults]))
    scores, levels = tabulate(scored)
    scores = scores.merge(images.table, on="id", validate="one_to_one")
    scores.insert(0, "fold", scores.pop("fold"))
    return scores, levels[_SUBSET]


def _score(submission: Submission, folder: Path, case: Case) -> tuple[list[Row], Levels] | UserError:
    truth = merge_masks([read_mask(path) for path in case.masks])
    try:
        mask, probability, classes = submission.predict(case.id, *truth.shape)
    except UserError as error:
        return error
    write_mask(folder, case.id, mask)
    image = {"subset": _SUBSET, "postprocessing": "after", "id": case.id, "class": case.cls}
    peak = np.nan if probability is None else probability.max() / 255
    levels = np.zeros((2, 256), np.int64) if probability is None else count_levels(probability, truth)
    of_classes = {} if classes is None else dict(zip(CLASS_PROBABILITIES, classes, strict=True))
    return [image | measure(mask, truth, peak) | of_classes], levels
