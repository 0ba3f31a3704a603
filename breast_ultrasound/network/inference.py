"""From prepared images to probabilities."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from breast_ultrasound.network.unet import CLASS_LOGITS, LOGITS
from breast_ultrasound.pipeline.params import Section


class Predict(Section):
    """Inference."""

    mirror: bool


def predict(network: keras.Model, images: NDArray[np.uint8], mirror: bool) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """What `network` says of uint8 [n, size, size].

    The lesion probability of each pixel in steps of 1/255, uint8 of the same shape, and the logits of the classes,
    float32 [n, 3], or [n, 0] where the network has no class head. With `mirror`, the means of the probabilities and of
    the logits of the images and of their mirror images, these mirrored back.
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
    return ops.convert_to_numpy(ops.sigmoid(outputs[LOGITS])), np.asarray(outputs.get(CLASS_LOGITS, none))
