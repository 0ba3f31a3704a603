"""Training on several devices of one machine, in a process of its own: TensorFlow divides them only at its start."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, tempfile
from pathlib import Path
from unittest import mock

import tensorflow as tf

halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)

sys.path.insert(0, "tests")
import numpy as np
import test_train
from breast_ultrasound.training import fitting

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with tempfile.TemporaryDirectory() as name, mock.patch.object(fitting, "distribution", lambda _: strategy.scope()):
    folder = Path(name)
    settings = test_train.tiny_settings(epochs=4)
    # Without the classes the loss is that of the masks alone.
    network = settings.network.model_copy(update={"class_head": False, "depth": 2})
    settings = settings.model_copy(update={"network": network})
    network = test_train.fit(settings, folder / "whole")
    losses = test_train.curve(folder / "whole", "val_loss")
    validated = losses[test_train.curve(folder / "whole", "val_lesion_dice").argmax()]
    saved = test_train.mask_loss(network)
    try:
        test_train.fit(settings, folder / "stopped", last_epoch=3)
    except KeyboardInterrupt:
        resumed = test_train.fit(settings, folder / "stopped")
    same = all(np.array_equal(a, b) for a, b in zip(network.get_weights(), resumed.get_weights(), strict=True))
    learned = test_train.curve(folder / "whole", "loss")
print(json.dumps({
    "replicas": strategy.num_replicas_in_sync,
    "learned": learned.iloc[0] - learned.iloc[-1],
    "validated": validated,
    "saved": saved,
    "resumed the same": same,
}))
"""


@pytest.mark.long
def test_two_devices_train_one_network_together() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert (measured["replicas"], measured["resumed the same"]) == (2, True)
    assert measured["learned"] > 0.05
    assert measured["saved"] == pytest.approx(measured["validated"], abs=1e-4)
