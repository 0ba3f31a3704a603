"""What Keras reads from a user's home and environment decides nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

# Prints a hash of the weights and of an output of a network.
NETWORK = """
import hashlib
import numpy as np
import breast_ultrasound, keras
from breast_ultrasound.network.unet import Network, attention_unet
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


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    return printed(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(
    "settings",
    [{"floatx": "float64", "epsilon": 0.1}, {"image_data_format": "channels_first"}, {"floatx": "what Keras refuses"}],
)
def test_a_file_of_kerass_settings_changes_no_network(settings: dict[str, Any], plain: str, tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text(json.dumps(settings))
    assert printed(tmp_path, KERAS_HOME=str(tmp_path / ".keras")) == plain


LIMITS = """
import breast_ultrasound, keras
print(keras.config.max_epochs(), keras.config.max_steps_per_epoch(), keras.config.is_nnx_enabled())
"""


def test_the_limits_that_keras_takes_from_the_environment_are_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KERAS_NNX_ENABLED", "true")
    done = subprocess.run([sys.executable, "-c", LIMITS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "None None False\n"
