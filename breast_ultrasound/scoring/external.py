"""The figures of external test sets, as the stage `external` writes them and the later ones read them."""

from pathlib import Path
from typing import Any

from breast_ultrasound.scoring.intervals import DIGITS, difference_interval

PER_IMAGE = Path("metrics/external.csv")
FIGURES = Path("metrics/external.json")

# Where `figures.summarise` has the figures that are compared.
_COMPARED = {
    "lesion Dice": ("after", "lesion", "mean per image", "dice"),
    "lesion IoU": ("after", "lesion", "mean per image", "iou"),
    "normals clean": ("after", "all", "normals left clean"),
    "Dice, all images": ("after", "all", "mean per image", "dice"),
    "AUC": ("detection",),
}


def falls(internal: dict[str, Any], external: dict[str, Any]) -> dict[str, dict[str, float]]:
    """External less internal figures, with intervals; both as of `figures.summarise`, of different images.

    What one of the two lacks is left out.
    """
    found = {}
    for name, path in _COMPARED.items():
        one, two = _at(internal, path), _at(external, path)
        if one and two:
            (first, *of_first), (second, *of_second) = one, two
            low, high = difference_interval(first, (of_first[0], of_first[1]), second, (of_second[0], of_second[1]))
            ends = {"value": second - first, "low": max(-1.0, low), "high": min(1.0, high)}
            found[name] = {"internal": first, "external": second} | {
                end: round(value, DIGITS) for end, value in ends.items()
            }
    return found


def _at(figures: dict[str, Any], path: tuple[str, ...]) -> tuple[float, float, float] | None:
    for key in path:
        if key not in figures:
            return None
        figures = figures[key]
    value = figures["value"] if "value" in figures else figures["auc"]
    return value, figures["low"], figures["high"]
