"""From trained Keras networks to one file that other runtimes compute, the same bytes for the same networks."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from keras import ops
from onnx import numpy_helper

from breast_ultrasound.inference.card import Card
from breast_ultrasound.inference.exported import CLASS_PROBABILITY, GREY, PROBABILITY
from breast_ultrasound.network.unet import CLASS_LOGITS, LOGITS

# Tensors of fewer values are left in float32: all of them together weigh nothing.
_MANY = 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)


def averaged(networks: Sequence[keras.Model], mirror: bool, temperature: float) -> keras.Model:
    """One network that answers for several: grey values uint8 [n, size, size] to a dict of float32 probabilities.

    PROBABILITY is the mean of the networks' lesion probabilities [n, size, size] and CLASS_PROBABILITY, where they have
    class heads, that of their class probabilities [n, 3]. With `mirror`, each network's answer is the mean of those for
    the image and for its mirror image, as in breast_ultrasound/network/inference.py.
    """
    size = networks[0].input_shape[1]
    grey = keras.Input((size, size), dtype="uint8", name=GREY)
    views = ops.expand_dims(ops.cast(grey, "float32"), -1)
    if mirror:
        views = ops.concatenate([views, ops.flip(views, axis=2)], axis=0)
    copies = [_copy(network, f"network_{place}") for place, network in enumerate(networks)]
    answers = [_answer(copy(views), mirror, temperature) for copy in copies]
    outputs = {name: ops.mean(ops.stack([answer[name] for answer in answers]), axis=0) for name in answers[0]}
    return keras.Model(grey, outputs)


def _answer(logits: dict[str, Any], mirror: bool, temperature: float) -> dict[str, Any]:
    probability = ops.sigmoid(logits[LOGITS])
    if mirror:
        image, mirrored = ops.split(probability, 2, axis=0)
        probability = (image + ops.flip(mirrored, axis=2)) / 2
    answer = {PROBABILITY: ops.squeeze(probability, -1)}
    if CLASS_LOGITS in logits:
        classes = logits[CLASS_LOGITS]
        classes = sum(ops.split(classes, 2, axis=0)) / 2 if mirror else classes
        answer[CLASS_PROBABILITY] = ops.softmax(classes / temperature)
    return answer


class _Upsampling(keras.layers.UpSampling2D):
    """Keras' layer, which repeats pixels by operations that runtimes are slow at, as the one that they know."""

    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        _, height, width, _ = inputs.shape
        size = [self.size[0] * height, self.size[1] * width]
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size)


def _copy(network: keras.Model, name: str) -> keras.Model:
    replaced = {keras.layers.UpSampling2D: _Upsampling}

    def copy(layer: keras.Layer) -> keras.Layer:
        return replaced.get(type(layer), type(layer)).from_config(layer.get_config())

    clone = keras.models.clone_model(network, clone_function=copy)
    clone.set_weights(network.get_weights())
    # Keras takes no two parts of one name, which networks of several folds have.
    return keras.Model(clone.input, clone.output, name=name)


def write_onnx(network: keras.Model, card: Card, half: bool, path: Path) -> None:
    """Write a network that `averaged` made as ONNX, with `half` its weights in float16; it computes in float32."""
    # Keras exports only what has been called.
    network(np.zeros((1, card.size, card.size), np.uint8))
    network.export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    canonicalise(model.graph)
    if half:
        halve(model.graph)
    onnx.helper.set_model_props(model, card.as_properties())
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_litert(network: keras.Model, card: Card, half: bool, path: Path) -> None:
    """Write a network that `averaged` made as LiteRT; the card lies in it as LiteRT's associated files do, zipped."""
    import tensorflow as tf  # noqa: PLC0415  the other formats need it only through Keras

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    network.export(path, format="litert", verbose=False, **(smaller if half else {}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("card.json", _EPOCH), json.dumps(card.as_properties()))


def canonicalise(graph: onnx.GraphProto) -> None:
    """Give nodes, weights and values an order and names that follow from what the graph computes.

    The converter's change from run to run. Equal weights become one.
    """
    nodes = _in_order(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    weights = _distinct(graph, nodes)
    names |= {name: weight.name for name, weight in weights.items()}
    for place, node in enumerate(nodes):
        node.name = f"{node.op_type}_{place}"
        for number, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}_{number}")
    for node in nodes:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.attribute.sort(key=lambda attribute: attribute.name)
    _replace(graph.node, nodes)
    _replace(graph.initializer, {weight.name: weight for weight in weights.values()}.values())
    _replace(graph.output, sorted(graph.output, key=lambda value: value.name))
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    for value in graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes, each after those that it needs, from the outputs in the order of their names down to the input."""
    made_by = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    seen = set()

    def visit(name: str) -> None:
        node = made_by.get(name)
        if node is None or node.output[0] in seen:
            return
        seen.add(node.output[0])
        for source in node.input:
            visit(source)
        ordered.append(node)

    for name in sorted(value.name for value in graph.output):
        visit(name)
    return ordered


def _distinct(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> dict[str, onnx.TensorProto]:
    """The weights by the names that the nodes know them by, equal ones as one, numbered as they are first needed."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
    weights = {}
    for name in (name for node in nodes for name in node.input if name in values):
        key = (values[name].dtype.str, values[name].shape, values[name].tobytes())
        found.setdefault(key, numpy_helper.from_array(values[name], f"weight_{len(found)}"))
        weights[name] = found[key]
    return weights


def halve(graph: onnx.GraphProto) -> None:
    """Keep the large weights in float16, each behind a node that makes it float32 again when the network is loaded."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _MANY:
            half = f"{tensor.name}_half"
            casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], half, to=onnx.TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
    _replace(graph.node, [*casts, *graph.node])


def _replace(field: Any, messages: Iterable[Any]) -> None:
    # Copies, since the messages may lie in the field itself.
    copies = [type(message).FromString(message.SerializeToString()) for message in messages]
    del field[:]
    field.extend(copies)
