"""Rewriting of ONNX graphs: the same bytes for the same network, and weights of half the size."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

# Tensors of fewer values stay in float32: all of them together weigh nothing.
_MANY = 1024


def canonicalise(graph: onnx.GraphProto) -> None:
    """Give nodes, weights and values an order and names that follow from what the graph computes.

    Those of the converter change from run to run, as does the note that it leaves, which is dropped. Equal weights
    become one.
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
    graph.ClearField("doc_string")


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes, each after those that it needs, depth first from the outputs in order of their names."""
    made_by = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    visited = set()

    def visit(name: str) -> None:
        node = made_by.get(name)
        if node is None or node.output[0] in visited:
            return
        visited.add(node.output[0])
        for source in node.input:
            visit(source)
        ordered.append(node)

    for name in sorted(value.name for value in graph.output):
        visit(name)
    return ordered


def _distinct(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> dict[str, onnx.TensorProto]:
    """Return the weights by their names in the nodes, equal ones as one, numbered as they are first needed."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    unique: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
    weights = {}
    for name in (name for node in nodes for name in node.input if name in values):
        key = (values[name].dtype.str, values[name].shape, values[name].tobytes())
        unique.setdefault(key, numpy_helper.from_array(values[name], f"weight_{len(unique)}"))
        weights[name] = unique[key]
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
