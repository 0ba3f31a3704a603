"""A small exported network for tests, which takes dark pixels for lesion."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.inference.card import Card
from breast_ultrasound.network.names import CLASS_PROBABILITY, FEATURE_DISTANCE, GREY, PROBABILITY

SIZE = 64


def write_dark_network(path: Path, distance: float | None = None) -> None:
    """Write a network of SIZE×SIZE pixels: a black pixel is lesion with certainty, a white one with none, the class is
    benign, and the feature distance, where one is given, is that of every image.
    """
    weights: dict[str, Any] = {
        "scale": np.float32(-1 / 255),
        "one": np.float32(1),
        "classes": np.array([[0.7, 0.2, 0.1]], np.float32),
    }
    nodes = [
        helper.make_node("Cast", [GREY], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["negative"]),
        helper.make_node("Add", ["negative", "one"], [PROBABILITY]),
        helper.make_node("Identity", ["classes"], [CLASS_PROBABILITY]),
    ]
    grey = helper.make_tensor_value_info(GREY, TensorProto.UINT8, ["batch", SIZE, SIZE])
    outputs = [
        helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["batch", SIZE, SIZE]),
        helper.make_tensor_value_info(CLASS_PROBABILITY, TensorProto.FLOAT, [1, 3]),
    ]
    if distance is not None:
        weights["distance"] = np.array([distance], np.float32)
        nodes.append(helper.make_node("Identity", ["distance"], [FEATURE_DISTANCE]))
        outputs.append(helper.make_tensor_value_info(FEATURE_DISTANCE, TensorProto.FLOAT, [1]))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "dark", [grey], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = Card("dark-0", "phantom", (0,), SIZE, False, ("benign", "malignant", "normal"), Postprocessing().to_json())
    helper.set_model_props(model, card.as_properties())
    onnx.save(model, path)
