"""The attention U-Net, from scratch or on an encoder that has seen ImageNet.

Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018 (arXiv:1804.03999), on the U-Net of
Ronneberger et al., MICCAI 2015 (arXiv:1505.04597), with batch normalisation and He initialisation (arXiv:1502.01852).
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.network.efficientnet import efficientnet_lite, load_imagenet
from breast_ultrasound.network.layers import attention_gate, convolution
from breast_ultrasound.pipeline.params import Between, Section, Share

# The names of the network's outputs and of the layers that give them.
LOGITS, CLASS_LOGITS = "logits", "classes"

Filters = Annotated[int, Field(ge=1, le=1024)]


class Network(Section):
    """Shape of the attention U-Net."""

    encoder: Literal["none", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    stem: Literal[1, 2, 4]
    width: Annotated[int, Field(ge=1, le=512)]
    depth: Annotated[int, Field(ge=2, le=7)]
    decoder: Annotated[tuple[Filters, ...], Field(strict=False, min_length=4, max_length=4)]
    gates: bool
    prior: Between
    dropout: Share
    class_head: bool

    @property
    def stride(self) -> int:
        """The number of pixels that the side of the grid has to be a multiple of."""
        return self.stem * 2 ** (self.depth - 1) if self.encoder == "none" else 32


def attention_unet(size: int, network: Network, seed: int = 0) -> keras.Model:
    """Build the network: grey values 0 to 255, [batch, size, size, 1], to a dict of float32 logits.

    LOGITS are those of a lesion [batch, size, size, 1], and CLASS_LOGITS, where there is a class head, those of CLASSES
    [batch, 3]. `size` has to be a multiple of `network.stride`. An encoder brings its weights, learned on ImageNet.
    """
    grey = layers.Input((size, size, 1), name="grey")
    if network.encoder == "none":
        *skips, deepest = encode(grey, network.stem, network.width, network.depth)
        stem, filters = network.stem, [skip.shape[-1] for skip in reversed(skips)]
    else:
        pixels = layers.Rescaling(1 / 128, offset=-127 / 128)(grey)
        *skips, deepest = efficientnet_lite(pixels, network.encoder)
        stem, filters = 2, network.decoder
    x = layers.Dropout(network.dropout, seed=seed, name="dropout")(deepest)
    outputs = {LOGITS: decode(x, skips, filters, stem, network.gates, network.prior)}
    if network.class_head:
        outputs[CLASS_LOGITS] = classify(deepest, network.dropout, seed)
    model = keras.Model(grey, outputs, name="attention_unet")
    if network.encoder != "none":
        load_imagenet(model, network.encoder)
    return model


def encode(grey: keras.KerasTensor, stem: int, width: int, depth: int) -> list[keras.KerasTensor]:
    """The features of `depth` levels, each half as large and twice as wide as the one before.

    The first convolution has a stride of `stem`: with stem 2 the levels work on grids of half the size, with stem 1 the
    network is the one of the paper.
    """
    x = layers.Rescaling(1 / 127.5, offset=-1)(grey)
    x = convolution(x, width, 3 * stem, strides=stem)
    features = [convolution(x, width, 3)]
    for level in range(1, depth):
        x = layers.MaxPooling2D()(features[-1])
        x = convolution(x, width * 2**level, 3)
        features.append(convolution(x, width * 2**level, 3))
    return features


def decode(
    x: keras.KerasTensor,
    skips: Sequence[keras.KerasTensor],
    filters: Sequence[int],
    stem: int,
    gates: bool,
    prior: float,
) -> keras.KerasTensor:
    """The mask's logits on the grid of the image, from the deepest features, the skips and the filters of each level.

    `filters` begin with the deepest skip's. With `gates` an attention gate weighs each skip. The last convolution,
    transposed, undoes the stride `stem` of the first. Its bias makes lesions as probable as `prior` before anything is
    learned (Lin et al., Focal Loss, ICCV 2017, arXiv:1708.02002, section 4.1).
    """
    for skip, width in zip(reversed(skips), filters, strict=True):
        detail = attention_gate(skip, gate=x, filters=max(1, width // 2)) if gates else skip
        x = layers.Concatenate()([detail, layers.UpSampling2D()(x)])
        x = convolution(x, width, 3)
        x = convolution(x, width, 3)
    bias = keras.initializers.Constant(math.log(prior / (1 - prior)))
    return layers.Conv2DTranspose(1, stem, strides=stem, bias_initializer=bias, dtype="float32", name=LOGITS)(x)


def classify(deepest: keras.KerasTensor, dropout: float, seed: int) -> keras.KerasTensor:
    """The logits of CLASSES [batch, 3], from the mean of the deepest features over the image."""
    x = layers.GlobalAveragePooling2D()(deepest)
    x = layers.Dropout(dropout, seed=seed, name="class_dropout")(x)
    return layers.Dense(len(CLASSES), dtype="float32", name=CLASS_LOGITS)(x)
