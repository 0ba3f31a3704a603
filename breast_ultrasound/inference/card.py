"""What an exported network says of itself, so that its file alone is enough."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from breast_ultrasound.answers.answer import ALL, Fitted

INTENDED_USE = (
    "Research on the segmentation of breast lesions in ultrasound. It is no medical device and makes no diagnosis."
)


@dataclass(frozen=True)
class Card:
    """The metadata of an exported network; ValueError, KeyError or TypeError where some is missing or no sense.

    `data` is data.source of params.yaml, `folds` are those whose networks are averaged, `size` is the side of the
    square grid in pixels, `classes` are in the order of the class probabilities, none without a class head, and
    `postprocess` is the entry of metrics/postprocess.json that makes the mask.
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
    def fitted(self) -> Fitted:
        """What makes an answer of the network's probabilities."""
        return Fitted.from_json(self.postprocess)

    def as_properties(self) -> dict[str, str]:
        """The fields as text, JSON but for what is text already."""
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> "Card":
        """The card that `as_properties` was made of; what else the properties hold is ignored."""
        text = {name: properties[name] for name in ("name", "data", "intended_use")}
        folds, classes = (tuple(json.loads(properties[name])) for name in ("folds", "classes"))
        size, mirror, postprocess = (json.loads(properties[name]) for name in ("size", "mirror", "postprocess"))
        card = cls(folds=folds, classes=classes, size=int(size), mirror=mirror, postprocess=postprocess, **text)
        _ = card.fitted
        return card


def pooled(fitted: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The entry of metrics/postprocess.json for the networks of all folds together.

    The one fitted on the validation images of all folds, where there is one, else that of the first fold.
    """
    return fitted.get(ALL) or next(iter(fitted.values()))
