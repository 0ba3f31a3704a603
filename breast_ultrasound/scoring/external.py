"""The figures of external test sets, as the stage `external` writes them and the later ones read them."""

from pathlib import Path
from typing import Any

from breast_ultrasound.scoring.intervals import DIGITS, difference_interval

PER_IMAGE = Path("metrics/external.csv")
FIGURES = Path("metrics/external.json")

# The figures that are compared, and their keys in what `figures.summarise` returns.
_COMPARED = {
    "lesion Dice": ("after", "lesion", "mean per image", "dice"),
    "lesion IoU": ("after", "lesion", "mean per image", "iou"),
    "specificity on normal images": ("after", "all", "specificity on normal images"),
    "Dice, all images": ("after", "all", "mean per image", "dice"),
    "AUC": ("detection",),
}


def generalisation_gap(internal: dict[str, Any], external: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return internal minus external figures, with intervals, of two results of `figures.summarise` on other images.

    A figure that one of the two lacks is left out.
    """
    gaps = {}
    for name, path in _COMPARED.items():
        here, there = _at(internal, path), _at(external, path)
        if here and there:
            (inside, *inside_ends), (outside, *outside_ends) = here, there
            low, high = difference_interval(
                outside, (outside_ends[0], outside_ends[1]), inside, (inside_ends[0], inside_ends[1])
            )
            ends = {"value": inside - outside, "low": max(-1.0, low), "high": min(1.0, high)}
            gaps[name] = {"internal": inside, "external": outside} | {
                end: round(value, DIGITS) for end, value in ends.items()
            }
    return gaps


def _at(figures: dict[str, Any], path: tuple[str, ...]) -> tuple[float, float, float] | None:
    for key in path:
        if key not in figures:
            return None
        figures = figures[key]
    value = figures["value"] if "value" in figures else figures["auc"]
    return value, figures["low"], figures["high"]
