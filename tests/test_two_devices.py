"""Training on several devices of one machine, in a process of its own: TensorFlow divides them only at its start."""

import subprocess
import sys

SCRIPT = """
import sys, tempfile
from pathlib import Path
from unittest import mock

import tensorflow as tf

halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)

sys.path.insert(0, "tests")
import test_train
from stages import train

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with tempfile.TemporaryDirectory() as folder, mock.patch.object(train, "distribution", lambda _: strategy.scope()):
    test_train.fit(test_train.tiny_params(), Path(folder) / "one")
    best = test_train.curve(Path(folder) / "one", "val_lesion_dice").max()
print(strategy.num_replicas_in_sync, "replicas, Dice", best)
"""


def test_two_devices_train_one_network_together() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert "2 replicas, Dice" in done.stdout, done.stderr
    assert float(done.stdout.split()[-1]) > 0.5
