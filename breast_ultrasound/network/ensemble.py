"""The networks of all folds that were run, which answer together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.folds import Run
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.device import Hardware
from breast_ultrasound.network.inference import Predict, predict
from breast_ultrasound.pipeline.params import Section, Seed


class Settings(Section):
    """What is read of params.yaml to open the networks."""

    seed: Seed
    split: Run
    hardware: Hardware
    predict: Predict


@dataclass(frozen=True)
class Ensemble:
    """Networks on one grid, and whether they see the mirror images as well."""

    networks: Sequence[keras.Model]
    mirror: bool

    @classmethod
    def open(cls, settings: Settings) -> "Ensemble":
        """Choose the hardware and read the networks; UserError where there is no GPU or no network."""
        device.configure(settings.hardware, settings.seed)
        files = [model_files.model_file(fold) for fold in settings.split.run]
        return cls([model_files.load(file) for file in files], settings.predict.mirror)

    @property
    def size(self) -> int:
        """Side of the square grid in pixels."""
        return self.networks[0].input_shape[1]

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """The means of what the networks say of uint8 [n, size, size]; shapes and types as `predict` has them."""
        said = [predict(network, images, self.mirror) for network in self.networks]
        probability = np.round(np.mean([one for one, _ in said], axis=0)).astype(np.uint8)
        return probability, np.mean([one for _, one in said], axis=0)
