"""The card of an exported network: metadata that make its file enough to segment with."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from breast_ultrasound.answers.answer import ALL, Postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.cases.classes import CLASSES

INTENDED_USE = (
    "Research on the segmentation of breast lesions in ultrasound. It is no medical device and makes no diagnosis."
)


@dataclass(frozen=True)
class Card:
    """The metadata of an exported network.

    - `data`: data.sources of params.yaml, with commas between
    - `folds`: the folds whose networks are averaged
    - `size`: side of the grid in pixels
    - `mirror`: whether the mirror image is predicted as well
    - `classes`: CLASSES, in the order of the class probabilities, or empty for a network without a class head
    - `postprocess`: the entry of metrics/postprocess.json that makes a mask of the output
    - `trained_images`: the number of images that trained the first network, None of files of earlier versions
    - `tested`: the figures of metrics/summary.json and the number of images, under "all" and by source where there are
      several: each image was tested by a network that was not trained on it. Empty of files of earlier versions
    """

    name: str
    data: str
    folds: tuple[int, ...]
    size: int
    mirror: bool
    classes: tuple[str, ...]
    postprocess: dict[str, Any]
    trained_images: int | None = None
    tested: dict[str, dict[str, float]] = field(default_factory=dict)
    intended_use: str = INTENDED_USE

    @property
    def postprocessing(self) -> Postprocessing:
        """Return the post-processing that was fitted for the network."""
        return Postprocessing.from_json(self.postprocess)

    def as_properties(self) -> dict[str, str]:
        """Return the fields as text: JSON, but for those that are text already."""
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> "Card":
        """Return the card that `as_properties` was called on; other properties are ignored.

        KeyError if a property is missing, ValueError if it has a value that no network of the pipeline has; both name
        it.
        """
        text = {name: properties[name] for name in ("name", "data", "intended_use")}
        values: dict[str, Any] = {name: _parsed(name, properties[name]) for name in _PARSED}
        values |= {name: _parsed(name, properties[name]) for name in _NEWER if name in properties}
        card = cls(**text, **values)
        _check(card)
        return card


_PARSED = ("folds", "size", "mirror", "classes", "postprocess")
_NEWER = ("trained_images", "tested")


def _parsed(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
        return tuple(value) if isinstance(value, list) else value
    # Brackets within brackets within brackets …
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is not JSON") from None


def _check(card: Card) -> None:
    """Raise ValueError that names the first field with a value that the pipeline does not write.

    By hand, since pydantic takes a quarter of the time in which `segment` starts.
    """
    is_allowed = {
        "name": card.name.isprintable() and card.name != "",
        "data": card.data.isprintable() and card.data != "",
        "folds": _are_folds(card.folds),
        "size": _is_whole(card.size) and 16 <= card.size <= 2048,
        "mirror": isinstance(card.mirror, bool),
        "classes": card.classes in ((), CLASSES),
        "postprocess": isinstance(card.postprocess, dict) and "threshold" in card.postprocess,
        "trained_images": card.trained_images is None or (_is_whole(card.trained_images) and card.trained_images >= 0),
        "tested": isinstance(card.tested, dict) and all(_are_figures(*entry) for entry in card.tested.items()),
    }
    for name, allowed in is_allowed.items():
        if not allowed:
            raise ValueError(f"{name} is {getattr(card, name)!r}")
    _check_postprocessing(card.postprocess)


def _check_postprocessing(entry: dict[str, Any]) -> None:
    try:
        postprocessing = Postprocessing.from_json(entry)
    except (TypeError, ValueError):
        raise ValueError(f"postprocess is {entry!r}") from None
    for step in fields(Steps):
        value = getattr(postprocessing.steps, step.name)
        switch = isinstance(step.default, bool)
        if not (isinstance(value, bool) if switch else _is_number(value) and 0 <= value < 1):
            raise ValueError(f"postprocess.{step.name} is {value!r}")
    if postprocessing.steps.threshold == 0:
        raise ValueError("postprocess.threshold is 0")
    if not (_is_number(postprocessing.temperature) and postprocessing.temperature > 0):
        raise ValueError(f"postprocess.temperature is {postprocessing.temperature!r}")
    points = postprocessing.dice_calibration
    shares = all(_is_number(value) and 0 <= value <= 1 for point in points for value in point)
    if not points or not shares or list(points) != sorted(points, key=lambda point: point[0]):
        raise ValueError(f"postprocess.dice_calibration is {points!r}")


def _are_folds(folds: Any) -> bool:
    is_list = isinstance(folds, tuple) and all(_is_whole(fold) and fold >= 0 for fold in folds)
    return is_list and 0 < len(set(folds)) == len(folds)


def _are_figures(name: str, figures: Any) -> bool:
    return name.isprintable() and isinstance(figures, dict) and all(map(_is_number, figures.values()))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def pooled(entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of metrics/postprocess.json for new images.

    It is the one fitted on the held-out images of all folds, each predicted by its own network, or that of the only
    fold.
    """
    return entries.get(ALL) or next(iter(entries.values()))
