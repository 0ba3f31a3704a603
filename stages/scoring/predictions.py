"""The predictions of one fold, as the stage `predict` writes them and the later ones read them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from stages.cases.classes import CLASSES
from stages.cases.prepared import letterboxes
from stages.cases.release import Case, read_merged_mask
from stages.pipeline.arrays import Grey, Mask
from stages.pipeline.engine import map_on_all_cores

PROBABILITY, INDEX = "probability.npy", "index.csv"
# The columns of the index that hold the probability of each class, of networks with a class head.
CLASS_PROBABILITIES = [f"p_{name}" for name in CLASSES]

T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """An image's case and subset, its merged mask bool and its probability uint8, 0 to 255, both on the native grid."""

    case: Case
    subset: str
    truth: Mask
    probability: Grey


PREDICTIONS = Path("data/predictions")


def predictions(fold: int) -> Path:
    """The folder of a fold's probabilities."""
    return PREDICTIONS / f"fold-{fold}"


def read_rows(folder: Path) -> pd.DataFrame:
    """The id, the subset and, where predicted, the classes' probabilities of each row of a fold's predictions."""
    return pd.read_csv(folder / INDEX)


def map_predictions(
    work: Callable[[Prediction], T], folder: Path, cases: Sequence[Case], index: pd.DataFrame, label: str
) -> Iterator[T]:
    """Yield work(prediction) for each row of a fold's predictions that `cases` hold, in order, on every core.

    `index` is the one of the prepared data, whose geometry takes each probability back to its native grid.
    """
    rows = read_rows(folder)
    case_by_id = {case.id: case for case in cases}
    rows = rows[rows["id"].isin(case_by_id)]
    probability = np.load(folder / PROBABILITY, mmap_mode="r")
    index = index[index["id"].isin(case_by_id)]
    box_by_id = dict(zip(index["id"], letterboxes(index), strict=True))

    def load(row: tuple[int, str, str]) -> T:
        position, case_id, subset = row
        case, box = case_by_id[case_id], box_by_id[case_id]
        truth = read_merged_mask(case, box.height, box.width)
        return work(Prediction(case, subset, truth, box.image_out(probability[position])))

    return map_on_all_cores(load, list(zip(rows.index, rows["id"], rows["subset"], strict=True)), label)
