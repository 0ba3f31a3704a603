"""Images that a network was not trained on, and the scores of its answers for them at any steps of post-processing."""

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.fitting import fit_temperature
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.predictions import PROBABILITY, class_logits, predictions, read_rows
from breast_ultrasound.cases.prepared import Prepared, letterboxes
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.scoring.scores import count, dice

# These steps empty every mask.
_EMPTY = Steps(image_probability=math.inf)


class Scored(NamedTuple):
    """The Dice of masks [n], and what needs no true mask: their soft Dice [n] and image-level probability [n]."""

    dice: NDArray[np.float64]
    soft_dice: NDArray[np.float64]
    image_probability: NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """The images of one network on which post-processing is fitted, on the prepared grid without its padding.

    `images` holds the probability and the true mask, 0/1, of each, uint8 [height, width], memory-mapped; the other
    fields hold whether it has a lesion, its group, its class as the position in CLASSES, and its class logits [n, 3],
    or [n, 0] of a network without a class head. `temperature` calibrates these logits.
    """

    images: list[tuple[Grey, Grey]]
    lesions: NDArray[np.bool_]
    groups: NDArray[np.int64]
    classes: NDArray[np.int64]
    logits: NDArray[np.float64]
    temperature: float
    _scored: dict[Steps, Scored] = field(default_factory=dict, repr=False, compare=False)

    def score(self, steps: Steps) -> Scored:
        """Score the masks that these steps make.

        Masks are made and scored once for all values of `image_probability`, which empties some of them.
        """
        full, empty = self._score_once(replace(steps, image_probability=0.0)), self._score_once(_EMPTY)
        empties = full.image_probability < steps.image_probability
        return Scored(*(np.where(empties, *of_each) for of_each in zip(empty, full, strict=True)))

    def _score_once(self, steps: Steps) -> Scored:
        if steps not in self._scored:
            # With the default calibration of Dice, the predicted Dice is the soft Dice.
            postprocessing = Postprocessing(steps, self.temperature)
            images = map_on_all_cores(partial(self._score_image, postprocessing), range(len(self.images)))
            self._scored[steps] = Scored(*np.array(list(images)).T)
        return self._scored[steps]

    def _score_image(self, postprocessing: Postprocessing, image: int) -> tuple[float, float, float]:
        probability, truth = self.images[image]
        answer = postprocessing.answer(probability, self.logits[image])
        counts = count(answer.mask, truth > 0)
        score = float(dice(*(np.array(counts[name]) for name in ("tp", "fp", "fn"))))
        return score, answer.predicted_dice, answer.image_probability


def read_held_out(fold: int, subset: str, prepared: Prepared, audit: pd.DataFrame) -> HeldOut:
    """Read the images of a subset that the network of `fold` predicted, and calibrate its class logits on them."""
    rows = read_rows(predictions(fold)).query("subset == @subset")
    places = prepared.index.reset_index().set_index("id")["index"].loc[rows["id"]].to_numpy()
    probability = np.load(predictions(fold) / PROBABILITY, mmap_mode="r")
    images = [
        (box.content(probability[row]), box.content(prepared.masks[place]))
        for row, place, box in zip(rows.index, places, letterboxes(prepared.index.iloc[places]), strict=True)
    ]
    lesions = np.array([truth.any() for _, truth in images])
    groups = audit.set_index("id")["group"].loc[rows["id"]].to_numpy()
    classes, logits = prepared.classes[places], class_logits(rows)
    return HeldOut(images, lesions, groups, classes, logits, fit_temperature(logits, classes))
