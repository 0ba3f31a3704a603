"""The predictions of one fold, as the stage `predict` writes them and the later ones read them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import letterboxes
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.tables import read_table

PROBABILITY, INDEX = "probability.npy", "index.csv"
# The columns of the index that hold the logit of each class, of networks with a class head.
CLASS_LOGITS = [f"logit_{name}" for name in CLASSES]

T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """An image's case and subset, and what is known of it on its native grid.

    The merged mask bool and the probability uint8, 0 to 255, both [height, width], and the logits of CLASSES, float64
    [3], or [0] of a network without them.
    """

    case: Case
    subset: str
    truth: Mask
    probability: Grey
    logits: NDArray[np.float64]


PREDICTIONS = Path("data/predictions")


def predictions(fold: int) -> Path:
    """The folder of a fold's probabilities."""
    return PREDICTIONS / f"fold-{fold}"


def read_rows(folder: Path) -> pd.DataFrame:
    """The id, the subset and, where predicted, the classes' logits of each row of a fold's predictions."""
    return read_table(folder / INDEX)


def class_logits(rows: pd.DataFrame) -> NDArray[np.float64]:
    """The logits of CLASSES of rows of a fold's predictions, [n, 3], or [n, 0] where none were predicted."""
    return rows.reindex(columns=CLASS_LOGITS).dropna(axis=1, how="all").to_numpy(float)


def map_predictions(
    work: Callable[[Prediction], T],
    folder: Path,
    subsets: Collection[str],
    cases: Sequence[Case],
    index: pd.DataFrame,
    label: str,
) -> Iterator[T]:
    """Yield work(prediction) for each row of a fold's predictions of these subsets that `cases` hold, on all machines.

    They come in order. `index` is the one of the prepared data, whose geometry takes each probability back to its
    native grid.
    """
    rows = read_rows(folder)
    case_by_id = {case.id: case for case in cases}
    rows = rows[rows["id"].isin(case_by_id) & rows["subset"].isin(subsets)]
    index = index[index["id"].isin(case_by_id)]
    box_by_id = dict(zip(index["id"], letterboxes(index), strict=True))
    predicted = [
        _Predicted(case_by_id[case_id], subset, folder, position, box_by_id[case_id], logits)
        for position, case_id, subset, logits in zip(
            rows.index, rows["id"], rows["subset"], class_logits(rows), strict=True
        )
    ]
    return map_on_all_machines(partial(_work_on, work), predicted, label)


@dataclass(frozen=True)
class _Predicted:
    """Where a prediction lies: a row of a fold's folder."""

    case: Case
    subset: str
    folder: Path
    position: int
    box: Letterbox
    logits: NDArray[np.float64]

    def load(self) -> Prediction:
        truth = read_merged_mask(self.case, self.box.height, self.box.width)
        probability = np.load(self.folder / PROBABILITY, mmap_mode="r")[self.position]
        return Prediction(self.case, self.subset, truth, self.box.image_out(probability), self.logits)


def _work_on(work: Callable[[Prediction], T], predicted: _Predicted) -> T:
    return work(predicted.load())
