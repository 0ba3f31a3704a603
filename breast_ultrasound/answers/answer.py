"""An answer for one image, and the fitted post-processing that makes it from the output of a network."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.calibration import (
    DiceCalibration,
    class_probabilities,
    image_probability,
    predicted_dice,
    soft_dice,
)
from breast_ultrasound.answers.postprocess import Steps, binary_mask
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError

POSTPROCESS = Path("metrics/postprocess.json")
# The entry that is fitted on the held-out images of every network, for images that no fold tests: new ones.
ALL = "all"

# Keys of files written by earlier versions, and the keys that replaced them.
_EARLIER_KEYS = {"chance": "image_probability", "estimate": "dice_calibration"}


@dataclass(frozen=True)
class Answer:
    """What post-processing makes of one image.

    `mask` is bool [height, width]; `class_probabilities` are those of CLASSES, float64 [3], or [0] of a network without
    a class head; `image_probability`, that the image holds a lesion, and `predicted_dice`, of the mask, are 0 to 1.
    """

    mask: Mask
    class_probabilities: NDArray[np.float64]
    image_probability: float
    predicted_dice: float


@dataclass(frozen=True)
class Postprocessing:
    """The steps to a mask, the temperature of the class logits and the calibration of the predicted Dice.

    The default changes nothing: a pixel is in the mask from a probability of one half on, and both calibrations are the
    identity.
    """

    steps: Steps = field(default_factory=Steps)
    temperature: float = 1.0
    dice_calibration: DiceCalibration = ((0.0, 0.0), (1.0, 1.0))

    def answer(self, probability: Grey, logits: NDArray[np.float64]) -> Answer:
        """Answer for a probability, uint8 [height, width] of 0 to 255, and class logits [3], or [0] without a head."""
        return self.answer_calibrated(probability, class_probabilities(logits, self.temperature))

    def answer_calibrated(self, probability: Grey, classes: NDArray[Any]) -> Answer:
        """Answer for a probability, uint8 [height, width], and calibrated probabilities of CLASSES [3], or [0]."""
        lesion = image_probability(classes, probability)
        mask = binary_mask(probability, self.steps, lesion)
        return Answer(
            mask, classes, lesion, predicted_dice(soft_dice(probability, mask, lesion), self.dice_calibration)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self.steps) | {
            "temperature": self.temperature,
            "dice_calibration": [list(point) for point in self.dice_calibration],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Postprocessing":
        """Read the values of `to_json`, or those of an earlier version, which lack some steps and name two otherwise.

        Raises KeyError where the threshold is missing.
        """
        values = {_EARLIER_KEYS.get(key, key): value for key, value in values.items()}
        steps = Steps(**{step.name: values.get(step.name, step.default) for step in fields(Steps)})
        calibration = tuple((soft, dice) for soft, dice in values.get("dice_calibration", cls.dice_calibration))
        return cls(replace(steps, threshold=values["threshold"]), values.get("temperature", 1.0), calibration)


def read_postprocessing(path: Path, model: str) -> Postprocessing:
    """Read the entry of a model, by its file stem such as `fold-0`; raises UserError where the file lacks it."""
    try:
        return Postprocessing.from_json(json.loads(path.read_text(encoding="utf-8"))[model])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: holds no post-processing for {model}. Run `uv run dvc repro`, or give --threshold."
        ) from error
