"""The card of an exported network: metadata that make its file enough to segment with."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from breast_ultrasound.answers.answer import ALL, Postprocessing
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
    """

    name: str
    data: str
    folds: tuple[int, ...]
    size: int
    mirror: bool
    classes: tuple[str, ...]
    postprocess: dict[str, Any]
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

        KeyError, ValueError or TypeError if a property is missing or senseless.
        """
        text = {name: properties[name] for name in ("name", "data", "intended_use")}
        folds, classes = (tuple(json.loads(properties[name])) for name in ("folds", "classes"))
        size, mirror, postprocess = (json.loads(properties[name]) for name in ("size", "mirror", "postprocess"))
        if classes not in ((), CLASSES):
            raise ValueError(f"classes are {classes}, not {CLASSES}")
        card = cls(folds=folds, classes=classes, size=int(size), mirror=mirror, postprocess=postprocess, **text)
        _ = card.postprocessing
        return card


def pooled(entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of metrics/postprocess.json for the mean of all networks.

    It is the one fitted on the validation images of all folds, or that of the only fold.
    """
    return entries.get(ALL) or next(iter(entries.values()))
