"""From what the network says of an image to an answer: its mask, its class, and how sure both are."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.calibration import Knots, agreement, class_probabilities, estimate, lesion_chance
from breast_ultrasound.answers.postprocess import Steps, binary_mask
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError

POSTPROCESS = Path("metrics/postprocess.json")
# The entry fitted on the validation images of every network, for what no fold tests: new images.
ALL = "all"


@dataclass(frozen=True)
class Answer:
    """What is said of an image.

    Its mask bool [height, width]; the probabilities of CLASSES [3], or [0] of a network without them; the chance that
    it holds a lesion, and the Dice that its mask can be expected to have, both 0 to 1.
    """

    mask: Mask
    classes: NDArray[np.float64]
    chance: float
    dice: float


@dataclass(frozen=True)
class Fitted:
    """How to get from what the network says to an answer; the default is the network's bare answer, taken as it is."""

    steps: Steps = field(default_factory=Steps)
    temperature: float = 1.0
    estimate: Knots = ((0.0, 0.0), (1.0, 1.0))

    def answer(self, probability: Grey, logits: NDArray[np.float64]) -> Answer:
        """The answer to a probability uint8 [height, width], 0 to 255, and class logits [3], or [0] without a head."""
        return self.judge(probability, class_probabilities(logits, self.temperature))

    def judge(self, probability: Grey, classes: NDArray[Any]) -> Answer:
        """The same of calibrated probabilities of CLASSES [3], or [0]."""
        chance = lesion_chance(classes, probability)
        mask = binary_mask(probability, self.steps, chance)
        return Answer(mask, classes, chance, estimate(agreement(probability, mask, chance), self.estimate))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self.steps) | {
            "temperature": self.temperature,
            "estimate": [list(knot) for knot in self.estimate],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Fitted":
        """From the values of `to_json`, or those of an earlier version, which lack the steps that it did not take.

        KeyError where the threshold is missing.
        """
        steps = Steps(**{step.name: values.get(step.name, step.default) for step in fields(Steps)})
        knots = tuple((at, value) for at, value in values.get("estimate", cls.estimate))
        return cls(replace(steps, threshold=values["threshold"]), values.get("temperature", 1.0), knots)


def read_fitted(path: Path, model: str) -> Fitted:
    """What was fitted for a model, by its file stem such as `fold-0`; UserError where there is nothing."""
    try:
        return Fitted.from_json(json.loads(path.read_text())[model])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: holds no post-processing for {model}. Run `uv run dvc repro`, or give --threshold."
        ) from error
