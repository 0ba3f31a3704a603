import subprocess
import sys
from pathlib import Path

from onnx_network import write_dark_network

from breast_ultrasound.inference.exported import open_network

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
