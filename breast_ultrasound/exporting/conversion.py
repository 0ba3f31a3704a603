"""Trained Keras networks as one file that other runtimes compute, the same bytes for the same networks."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from breast_ultrasound.exporting.graph import canonicalise, halve
from breast_ultrasound.inference.card import Card
from breast_ultrasound.pipeline.tensorflow_start import held_stderr

# The earliest time that a zip entry can carry.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def portable(network: keras.Model) -> keras.Model:
    """Return a copy of a network with layers that every runtime computes fast."""
    replacements = {keras.layers.UpSampling2D: _Upsampling}

    def copy(layer: keras.Layer) -> keras.Layer:
        return replacements.get(type(layer), type(layer)).from_config(layer.get_config())

    clone = keras.models.clone_model(network, clone_function=copy)
    clone.set_weights(network.get_weights())
    return clone


class _Upsampling(keras.layers.UpSampling2D):
    """Keras' layer by one operation for nearest neighbours, in place of the several by which Keras repeats pixels."""

    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        _, height, width, _ = inputs.shape
        size = [self.size[0] * height, self.size[1] * width]
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size)


def write_onnx(network: keras.Model, card: Card, half: bool, path: Path) -> None:
    """Write what `ensemble_mean` returned as ONNX, with `half` its weights in float16; it computes in float32."""
    # Keras exports only what has been called.
    network(np.zeros((1, card.size, card.size), np.uint8))
    with held_stderr():
        network.export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    canonicalise(model.graph)
    if half:
        halve(model.graph)
    onnx.helper.set_model_props(model, card.as_properties())
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_litert(network: keras.Model, card: Card, half: bool, path: Path) -> None:
    """Write what `ensemble_mean` returned as LiteRT, the card zipped to its end like LiteRT's associated files."""
    import tensorflow as tf  # noqa: PLC0415  the other formats need it only through Keras

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    with held_stderr():
        network.export(path, format="litert", verbose=False, **(smaller if half else {}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("card.json", _EPOCH), json.dumps(card.as_properties()))
