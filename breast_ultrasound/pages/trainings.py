"""The trainings of all folds that were run, in words: what they share once, what differs by fold."""

from collections.abc import Mapping, Sequence
from typing import Any


def describe(records: Mapping[int, dict[str, Any]]) -> dict[str, str]:
    """Describe the numbers of `train` and `validation` images of a fold, its `weights`, `setting` and `libraries`.

    `records` holds the record of each fold, as training/history.py reads it, at least one.
    """
    images = {name: _span([record["images"][name] for record in records.values()]) for name in ("train", "validation")}
    texts = {fold: _describe_one(record) for fold, record in records.items()}
    names = ("weights", "setting", "libraries")
    return images | {name: _once({fold: text[name] for fold, text in texts.items()}) for name in names}


def _describe_one(record: dict[str, Any]) -> dict[str, str]:
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
