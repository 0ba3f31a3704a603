"""How the devices of a training divide its work."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from breast_ultrasound.network.device import Device
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.training.batches import WHOLE, Shard
from breast_ultrasound.training.processes import Processes


def distribution(hardware: Device) -> AbstractContextManager[Any]:
    """Return the scope in which to build and fit a model for all devices."""
    if hardware.count == 1:
        return nullcontext()
    if keras.backend.backend() == "jax":
        devices = keras.distribution.list_devices(hardware.kind)
        return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope()
    import tensorflow as tf  # noqa: PLC0415  the other backends run without it

    return tf.distribute.MirroredStrategy().scope()


def shard_of_batches(batch: int, hardware: Device, processes: Processes) -> Shard:
    """Return this process's part of each batch: on TensorFlow, which divides batches by itself, all of it.

    UserError where the devices cannot divide a batch.
    """
    if keras.backend.backend() != "jax":
        return WHOLE
    if batch % hardware.count:
        raise UserError(
            f"train.batch: {batch} must be a multiple of the number of devices, {hardware.count}, of which each takes "
            "as many images of a batch."
        )
    return Shard(hardware.count, processes.count, processes.own)
