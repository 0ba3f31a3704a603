import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper
from onnx_network import write_dark_network

from breast_ultrasound.inference.exported import open_network
from breast_ultrasound.pipeline.errors import UserError

# Threads take turns as often as they can, so that those that can disturb one another do.
FIRST_USE = """
import sys, threading
from pathlib import Path
import numpy as np
from breast_ultrasound.inference.exported import open_network
network = open_network(Path(sys.argv[1]))
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
def segment():
    barrier.wait()
    network.predict(np.zeros((network.card.size, network.card.size), np.uint8))
threads = [threading.Thread(target=segment) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_threads_that_use_a_network_for_the_first_time_at_once_do_not_wait_for_one_another(tmp_path: Path) -> None:
    write_dark_network(tmp_path / "tiny.onnx")
    for _ in range(5):
        subprocess.run([sys.executable, "-c", FIRST_USE, str(tmp_path / "tiny.onnx")], check=True, timeout=60)


def test_a_network_computes_in_float32_also_where_a_processor_has_half_precision(tmp_path: Path) -> None:
    write_dark_network(tmp_path / "tiny.onnx")
    compiled = open_network(tmp_path / "tiny.onnx")._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def write_lying_network(path: Path, **properties: Any) -> None:
    """Write the dark network with other properties than it has."""
    write_dark_network(path)
    model = onnx.load(path)
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(model, metadata | {name: json.dumps(value) for name, value in properties.items()})
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", 256.5, "size is 256.5"),
        ("classes", "abc", "classes"),
        ("postprocess", {"threshold": -5}, "threshold is -5"),
        ("size", 128, "does not compute what its metadata say"),
        ("classes", [], "does not compute what its metadata say"),
    ],
)
def test_a_network_whose_metadata_lie_is_refused_by_name(tmp_path: Path, name: str, value: Any, message: str) -> None:
    write_lying_network(tmp_path / "lying.onnx", **{name: value})
    with pytest.raises(UserError, match=rf"lying\.onnx: .*{message}"):
        open_network(tmp_path / "lying.onnx")


def test_a_network_without_the_outputs_of_the_pipeline_is_refused(tmp_path: Path) -> None:
    write_dark_network(tmp_path / "other.onnx")
    model = onnx.load(tmp_path / "other.onnx")
    del model.graph.output[0]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"other\.onnx: .*does not compute what its metadata say"):
        open_network(tmp_path / "other.onnx")


def test_a_network_with_an_operation_of_no_name_is_refused(tmp_path: Path) -> None:
    write_dark_network(tmp_path / "damaged.onnx")
    content = (tmp_path / "damaged.onnx").read_bytes()
    (tmp_path / "damaged.onnx").write_bytes(content.replace(b"Identity", b"Identit\xff"))
    with pytest.raises(UserError, match=r"damaged\.onnx: not a network that OpenVINO can read"):
        open_network(tmp_path / "damaged.onnx")
