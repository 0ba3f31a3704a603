"""Several networks as one: the rule for their mean, by which `external` predicts and which `export` writes.

Each network's logits become calibrated probabilities first, by the sigmoid for pixels and by the softmax after the
fitted temperature for classes, and these are averaged with equal weights (Lakshminarayanan et al., Simple and Scalable
Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from breast_ultrasound.cases.folds import Exported, Run
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.deepest_features import DEEPEST_FEATURES, FeatureDistance, with_deepest_features
from breast_ultrasound.network.device import Hardware
from breast_ultrasound.network.inference import Predict
from breast_ultrasound.network.names import CLASS_PROBABILITY, FEATURE_DISTANCE, GREY, PROBABILITY
from breast_ultrasound.network.unet import CLASS_OUTPUT, MASK_OUTPUT
from breast_ultrasound.pipeline.params import Section, Seed


class EnsembleSettings(Section):
    """The parts of params.yaml that decide on the networks and on how they predict."""

    seed: Seed
    split: Run
    export: Exported
    hardware: Hardware
    predict: Predict


def open_ensemble(settings: EnsembleSettings, temperature: float) -> keras.Model:
    """Choose the hardware and return the mean of the networks that are exported.

    UserError if there is no GPU where one is asked for, or a network is missing.
    """
    device.configure(settings.hardware, settings.seed)
    networks = [model_files.load(model_files.model_file(fold)) for fold in settings.export.among(settings.split.run)]
    return ensemble_mean(networks, settings.predict.mirror, temperature)


def ensemble_mean(
    networks: Sequence[keras.Model], mirror: bool, temperature: float, distances: Sequence[FeatureDistance] = ()
) -> keras.Model:
    """Return the mean of networks as a network: grey values uint8 [n, size, size] to a dict of float32 outputs.

    PROBABILITY [n, size, size] is that of a lesion and CLASS_PROBABILITY [n, 3], if the networks have class heads, that
    of each class. FEATURE_DISTANCE [n] is the mean of the `distances`, if there is one for each network. With `mirror`
    a network's probabilities are means over the image and its mirror image, and so are its class logits and its deepest
    features, as in network/inference.py.
    """
    size = networks[0].input_shape[1]
    grey = keras.Input((size, size), dtype="uint8", name=GREY)
    views = ops.expand_dims(ops.cast(grey, "float32"), -1)
    if mirror:
        views = ops.concatenate([views, ops.flip(views, axis=2)], axis=0)
    # Keras takes no two parts of one name, which networks of several folds have.
    parts = [
        keras.Model(network.input, network.output, name=f"network_{place}")
        for place, network in enumerate(map(with_deepest_features, networks) if distances else networks)
    ]
    outputs_of_parts = [part(views) for part in parts]
    each = [_probabilities(outputs, mirror, temperature) for outputs in outputs_of_parts]
    for one, outputs, distance in zip(each, outputs_of_parts, distances, strict=False):
        one[FEATURE_DISTANCE] = distance(_mean_of_views(outputs[DEEPEST_FEATURES], mirror))
    outputs = {name: ops.mean(ops.stack([one[name] for one in each]), axis=0) for name in each[0]}
    return keras.Model(grey, outputs)


def _probabilities(logits: dict[str, Any], mirror: bool, temperature: float) -> dict[str, Any]:
    probability = ops.sigmoid(logits[MASK_OUTPUT])
    if mirror:
        image, mirrored = ops.split(probability, 2, axis=0)
        probability = (image + ops.flip(mirrored, axis=2)) / 2
    probabilities = {PROBABILITY: ops.squeeze(probability, -1)}
    if CLASS_OUTPUT in logits:
        probabilities[CLASS_PROBABILITY] = ops.softmax(_mean_of_views(logits[CLASS_OUTPUT], mirror) / temperature)
    return probabilities


def _mean_of_views(values: Any, mirror: bool) -> Any:
    return sum(ops.split(values, 2, axis=0)) / 2 if mirror else values


def predict_mean(ensemble: keras.Model, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Predict images uint8 [n, size, size] by what `ensemble_mean` returned.

    Returns the lesion probabilities in steps of 1/255, uint8 of the same shape, and the class probabilities [n, 3], or
    [n, 0] without class heads.
    """
    outputs: Any = ensemble.predict_on_batch(images)
    probability = np.round(255 * np.asarray(outputs[PROBABILITY])).astype(np.uint8)
    return probability, np.asarray(outputs.get(CLASS_PROBABILITY, np.empty((len(images), 0), np.float32)))
