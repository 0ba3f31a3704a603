"""From prepared images to probabilities."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from stages.pipeline.params import Section


class Predict(Section):
    """Inference."""

    mirror: bool


def probabilities(network: keras.Model, images: NDArray[np.uint8], mirror: bool) -> NDArray[np.uint8]:
    """The lesion probability of each pixel of uint8 [n, size, size], in steps of 1/255: uint8 of the same shape.

    With `mirror`, the mean of those of the images and, mirrored back, of their mirror images.
    """
    grey = images[..., None].astype(np.float32)
    probability = _forward(network, grey)
    if mirror:
        probability = (probability + _forward(network, grey[:, :, ::-1])[:, :, ::-1]) / 2
    return np.round(255 * probability[..., 0]).astype(np.uint8)


def _forward(network: keras.Model, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    logits: Any = network.predict_on_batch(grey)
    return ops.convert_to_numpy(ops.sigmoid(logits))
