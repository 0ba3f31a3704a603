"""Image features by an encoder that was trained on ImageNet alone."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_VERSION = "efficientnet-lite0"
# Of the strides 2, 4, 8, 16 and 32.
_STRIDE_16 = 3


def imagenet_encoder(side: int, seed: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return a function from uint8 [n, side, side] to the features of each 16×16 pixels, [n, side/16, side/16, 112].

    They are float32 and computed on the processor, so that they are the same with and without a GPU,
    and by instructions that all processors have.
    """
    # They load Keras and its backend, which takes seconds and hundreds of megabytes.
    import keras  # noqa: PLC0415

    from breast_ultrasound.network.device import Hardware, configure, limit_instructions  # noqa: PLC0415
    from breast_ultrasound.network.efficientnet import efficientnet_lite, load_imagenet  # noqa: PLC0415

    limit_instructions()
    configure(Hardware(device="cpu", precision="float32", arithmetic="native"), seed)
    image = keras.Input((side, side, 1))
    network = keras.Model(image, efficientnet_lite(image, _VERSION)[_STRIDE_16])
    load_imagenet(network, _VERSION)
    return lambda squares: np.asarray(network.predict_on_batch((squares[..., None].astype(np.float32) - 127) / 128))
