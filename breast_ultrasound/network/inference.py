"""Prediction by one network, as the stage `predict` stores it."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT
from breast_ultrasound.pipeline.params import Section


class Predict(Section):
    """The section `predict` of params.yaml."""

    mirror: bool


def predict(network: keras.Model, images: NDArray[np.uint8], mirror: bool) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Predict images uint8 [n, size, size].

    Returns the lesion probability of each pixel in steps of 1/255, uint8 of the same shape, and the class logits,
    float32 [n, 3], or [n, 0] without a class head. With `mirror` both are means over the image and its mirror image,
    whose pixels are mirrored back.
    """
    grey = images[..., None].astype(np.float32)
    probability, logits = _forward(network, grey)
    if mirror:
        mirrored, mirrored_logits = _forward(network, grey[:, :, ::-1])
        probability, logits = (probability + mirrored[:, :, ::-1]) / 2, (logits + mirrored_logits) / 2
    return np.round(255 * probability[..., 0]).astype(np.uint8), logits


def _forward(network: keras.Model, grey: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    outputs: Any = network.predict_on_batch(grey)
    none = np.empty((len(grey), 0), np.float32)
    return ops.convert_to_numpy(ops.sigmoid(outputs[MASK_OUTPUT])), np.asarray(outputs.get(CLASS_OUTPUT, none))
