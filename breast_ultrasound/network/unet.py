"""The attention U-Net, from scratch or on an encoder that was trained on ImageNet.

Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018 (arXiv:1804.03999), on the U-Net of
Ronneberger et al., MICCAI 2015 (arXiv:1505.04597), with batch normalisation and He initialisation (arXiv:1502.01852).
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import BeforeValidator, Field

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.network.efficientnet import efficientnet_lite, load_imagenet
from breast_ultrasound.network.layers import attention_gate, convolution
from breast_ultrasound.pipeline.params import Between, Section, Share, no_switch

# The names of the network's outputs and of the layers that give them.
MASK_OUTPUT, CLASS_OUTPUT = "logits", "classes"

Filters = Annotated[int, Field(ge=1, le=1024)]


class Network(Section):
    """The shape of the attention U-Net, and the weights that its training begins with.

    `weights` names a file of network/model_files.py, or is SHIPPED for that of the network that comes with the project;
    None begins with random weights, those of an encoder learned on ImageNet.
    """

    encoder: Literal["none", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    stem: Annotated[Literal[1, 2, 4], BeforeValidator(no_switch)]
    width: Annotated[int, Field(ge=1, le=512)]
    depth: Annotated[int, Field(ge=2, le=7)]
    decoder: Annotated[tuple[Filters, ...], Field(strict=False, min_length=4, max_length=4)]
    gates: bool
    prior: Between
    dropout: Share
    class_head: bool
    weights: Annotated[str, Field(min_length=1)] | None

    @property
    def stride(self) -> int:
        """Return the number of pixels that the side of the grid has to be a multiple of."""
        return self.stem * 2 ** (self.depth - 1) if self.encoder == "none" else 32


def attention_unet(size: int, network: Network, seed: int = 0) -> keras.Model:
    """Build a network that turns grey values 0 to 255, [batch, size, size, 1], into a dict of float32 logits.

    MASK_OUTPUT holds those of a lesion, [batch, size, size, 1], and CLASS_OUTPUT, where there is a class head, those of
    CLASSES, [batch, 3]. `size` has to be a multiple of `network.stride`. An encoder brings its weights, learned on
    ImageNet.

    >>> shape = {"encoder": "none", "stem": 2, "width": 4, "depth": 3, "decoder": (16, 8, 8, 4)}
    >>> network = attention_unet(64, Network(**shape, gates=True, prior=0.1, dropout=0, class_head=True, weights=None))
    >>> {name: logits.shape for name, logits in network.output.items()}
    {'logits': (None, 64, 64, 1), 'classes': (None, 3)}
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
    outputs = {MASK_OUTPUT: mask_logits(decode(x, skips, filters, network.gates), stem, network.prior)}
    if network.class_head:
        outputs[CLASS_OUTPUT] = class_logits(deepest, network.dropout, seed)
    model = keras.Model(grey, outputs, name="attention_unet")
    if network.encoder != "none":
        load_imagenet(model, network.encoder)
    return model


def encode(grey: keras.KerasTensor, stem: int, width: int, depth: int) -> list[keras.KerasTensor]:
    """Return the features of `depth` levels, each half as large and twice as wide as the one before.

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
    x: keras.KerasTensor, skips: Sequence[keras.KerasTensor], filters: Sequence[int], gates: bool
) -> keras.KerasTensor:
    """Return the features on the grid of the first skip, from the deepest ones and the skips.

    `filters`, those of each level, begin with the deepest skip's. With `gates` an attention gate weights each skip.
    """
    for skip, width in zip(reversed(skips), filters, strict=True):
        detail = attention_gate(skip, gate=x, filters=max(1, width // 2)) if gates else skip
        x = layers.Concatenate()([detail, layers.UpSampling2D()(x)])
        x = convolution(x, width, 3)
        x = convolution(x, width, 3)
    return x


def mask_logits(x: keras.KerasTensor, stem: int, prior: float) -> keras.KerasTensor:
    """Return the logits of the mask on the grid of the image.

    A transposed convolution undoes the stride of the stem. Its bias makes lesions as probable as `prior` before
    anything is learned (Lin et al., Focal Loss, ICCV 2017, arXiv:1708.02002, section 4.1).
    """
    bias = keras.initializers.Constant(math.log(prior / (1 - prior)))
    return layers.Conv2DTranspose(1, stem, strides=stem, bias_initializer=bias, dtype="float32", name=MASK_OUTPUT)(x)


def class_logits(deepest: keras.KerasTensor, dropout: float, seed: int) -> keras.KerasTensor:
    """Return the logits of CLASSES [batch, 3], from the mean of the deepest features over the image."""
    x = layers.GlobalAveragePooling2D()(deepest)
    x = layers.Dropout(dropout, seed=seed, name="class_dropout")(x)
    return layers.Dense(len(CLASSES), dtype="float32", name=CLASS_OUTPUT)(x)
