"""Prediction by one network, as the stage `predict` stores it."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from breast_ultrasound.network.deepest_features import DEEPEST_FEATURES
from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT
from breast_ultrasound.pipeline.params import Section


class Predict(Section):
    """The section `predict` of params.yaml."""

    mirror: bool


class Predicted(NamedTuple):
    """What a network predicts of n images.

    `probability` is that of a lesion for each pixel in steps of 1/255, uint8 [n, size, size]; `logits` are those of the
    classes, float32 [n, 3], or [n, 0] without a class head; `features` are those that `with_deepest_features` adds,
    float32 [n, channels], or [n, 0] where it was not called.
    """

    probability: NDArray[np.uint8]
    logits: NDArray[Any]
    features: NDArray[Any]


def predict(network: keras.Model, images: NDArray[np.uint8], mirror: bool) -> Predicted:
    """Predict images uint8 [n, size, size].

    With `mirror` all outputs are means over the image and its mirror image, whose pixels are mirrored back.
    """
    grey = images[..., None].astype(np.float32)
    probability, logits, features = _forward(network, grey)
    if mirror:
        mirrored, *others = _forward(network, grey[:, :, ::-1])
        probability = (probability + mirrored[:, :, ::-1]) / 2
        logits, features = ((one + other) / 2 for one, other in zip((logits, features), others, strict=True))
    return Predicted(np.round(255 * probability[..., 0]).astype(np.uint8), logits, features)


def _forward(network: keras.Model, grey: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    outputs: Any = network.predict_on_batch(grey)
    none = np.empty((len(grey), 0), np.float32)
    logits, features = (np.asarray(outputs.get(name, none)) for name in (CLASS_OUTPUT, DEEPEST_FEATURES))
    return ops.convert_to_numpy(ops.sigmoid(outputs[MASK_OUTPUT])), logits, features
