"""What pages tell of the trainings of all folds that were run: once what they share, and where they differ, how."""

from collections.abc import Mapping, Sequence
from typing import Any


def describe(records: Mapping[int, dict[str, Any]]) -> dict[str, str]:
    """The numbers of `train` and `validation` images of a fold, `weights`, `setting` and `libraries`, as text.

    `records` holds the record of each fold, as breast_ultrasound/training/history.py reads it, one at least.
    """
    images = {name: _span([record["images"][name] for record in records.values()]) for name in ("train", "validation")}
    told = {fold: _tell(record) for fold, record in records.items()}
    names = ("weights", "setting", "libraries")
    return images | {name: _once({fold: texts[name] for fold, texts in told.items()}) for name in names}


def _tell(record: dict[str, Any]) -> dict[str, str]:
    versions = record["versions"]
    backend = versions["backend"]
    return {
        "weights": f"{record['weights']:,}",
        "setting": f"{record['precision']} on {record['device']['name']}",
        "libraries": f"{backend} {versions[backend]}, Keras {versions['keras']}",
    }


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _once(text_by_fold: Mapping[int, str]) -> str:
    folds: dict[str, list[str]] = {}
    for fold, text in text_by_fold.items():
        folds.setdefault(text, []).append(str(fold))
    if len(folds) == 1:
        return next(iter(folds))
    return ", ".join(f"{text} (fold {', '.join(members)})" for text, members in folds.items())
