"""The deepest features of a network, and how far those of an image lie from the images that the network is for."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

# The output that `with_deepest_features` adds.
DEEPEST_FEATURES = "deepest_features"

# The layer of network/unet.py whose input the class head sees.
_CLASS_DROPOUT = "class_dropout"


def with_deepest_features(network: keras.Model) -> keras.Model:
    """Return `network` with one more output, DEEPEST_FEATURES [batch, channels]: their mean over the image.

    These are what the class head sees. A network without a class head is returned as it is.
    """
    if _CLASS_DROPOUT not in {layer.name for layer in network.layers}:
        return network
    features = network.get_layer(_CLASS_DROPOUT).input
    return keras.Model(network.input, network.output | {DEEPEST_FEATURES: features}, name=network.name)


@dataclass(frozen=True)
class FeatureDistance:
    """A Mahalanobis distance of deepest features: the length of (features − `mean`) · `whitening`.

    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, NeurIPS 2018 (arXiv:1807.03888),
    with one Gaussian for all classes. `mean` is float32 [channels], `whitening` float32 [channels, channels].
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]

    def __call__(self, features: Any) -> Any:
        """Return the distance [batch] of features [batch, channels], both tensors of Keras."""
        return ops.sqrt(ops.sum(ops.square(ops.matmul(features - self.mean, self.whitening)), axis=-1))
