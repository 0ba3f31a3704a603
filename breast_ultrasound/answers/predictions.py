"""The predictions of a fold, as the stage `predict` writes them and later stages read them."""

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

PROBABILITY, FEATURES, INDEX = "probability.npy", "features.npy", "index.csv"
# The columns of the index with the logit of each class, of networks with a class head.
LOGIT_COLUMNS = [f"logit_{name}" for name in CLASSES]

T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image on its native grid, beside its case and its subset.

    `truth`, the merged mask, is bool and `probability` uint8 of 0 to 255, both [height, width]; `logits` are those of
    CLASSES, float64 [3], or [0] of a network without a class head.
    """

    case: Case
    subset: str
    truth: Mask
    probability: Grey
    logits: NDArray[np.float64]


PREDICTIONS = Path("data/predictions")


def predictions(fold: int) -> Path:
    """Return the folder of a fold's predictions."""
    return PREDICTIONS / f"fold-{fold}"


def read_rows(folder: Path) -> pd.DataFrame:
    """Read the id, the subset and, where predicted, the logits of the classes of each row of a fold's predictions."""
    return read_table(folder / INDEX)


def class_logits(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the logits of CLASSES of rows of a fold's predictions, [n, 3], or [n, 0] of a network without classes."""
    return rows.reindex(columns=LOGIT_COLUMNS).dropna(axis=1, how="all").to_numpy(float)


@dataclass(frozen=True)
class PredictedFold:
    """The folder of a fold's predictions, the cases to take from it, and the index of the prepared data.

    The geometry in the index maps each probability back to its native grid.
    """

    folder: Path
    cases: Sequence[Case]
    index: pd.DataFrame


def map_predictions(
    work: Callable[[Prediction], T], fold: PredictedFold, subsets: Collection[str], label: str
) -> Iterator[T]:
    """Yield work(prediction) in order for each of a fold's predictions of these subsets, computed on all machines."""
    rows = read_rows(fold.folder)
    case_by_id = {case.id: case for case in fold.cases}
    rows = rows[rows["id"].isin(case_by_id) & rows["subset"].isin(subsets)]
    index = fold.index[fold.index["id"].isin(case_by_id)]
    box_by_id = dict(zip(index["id"], letterboxes(index), strict=True))
    stored = [
        _Stored(case_by_id[case_id], subset, fold.folder, position, box_by_id[case_id], logits)
        for position, case_id, subset, logits in zip(
            rows.index, rows["id"], rows["subset"], class_logits(rows), strict=True
        )
    ]
    return map_on_all_machines(partial(_work_on, work), stored, label)


@dataclass(frozen=True)
class _Stored:
    """Where a prediction is stored: the position of its row in a fold's folder, and what loading it needs."""

    case: Case
    subset: str
    folder: Path
    position: int
    box: Letterbox
    logits: NDArray[np.float64]

    def load(self) -> Prediction:
        truth = read_merged_mask(self.case, self.box.height, self.box.width)
        probability = np.load(self.folder / PROBABILITY, mmap_mode="r")[self.position]
        return Prediction(self.case, self.subset, truth, self.box.to_native(probability), self.logits)


def _work_on(work: Callable[[Prediction], T], stored: _Stored) -> T:
    return work(stored.load())
