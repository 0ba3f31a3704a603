"""What Keras reads from a user's home and environment decides nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

# Prints the limits that hold, and a hash of the weights and of the outputs of a network, with the types of those that
# are not float32. Each start of TensorFlow takes seconds, so that one process has all settings.
NETWORK = """
import hashlib
import numpy as np
import breast_ultrasound, keras
from breast_ultrasound.network.unet import Network, attention_unet
print(keras.config.max_epochs(), keras.config.max_steps_per_epoch(), keras.config.is_nnx_enabled())
shape = {"encoder": "none", "stem": 2, "width": 2, "depth": 2, "decoder": (4, 4, 4, 4)}
keras.utils.set_random_seed(0)
network = attention_unet(16, Network(**shape, gates=True, class_head=True, prior=0.1, dropout=0.2, weights=None))
outputs = network(np.ones((1, 16, 16, 1), np.float32))
arrays = [*network.get_weights(), *(np.asarray(output) for output in outputs.values())]
print([str(array.dtype) for array in arrays if array.dtype != np.float32])
print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def printed(home: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-c", NETWORK],
        cwd=ROOT,
        env=clean | {"HOME": str(home), "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_neither_a_file_of_kerass_settings_nor_the_environment_changes_a_network(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".keras"
    folder.mkdir(parents=True)
    settings = {"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first"}
    (folder / "keras.json").write_text(json.dumps(settings))
    plain = printed(tmp_path)
    assert plain.startswith("None None False\n[]\n")
    limits = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "KERAS_NNX_ENABLED": "true"}
    assert printed(tmp_path / "home", KERAS_HOME=str(folder), **limits) == plain
