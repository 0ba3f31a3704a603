"""The attention U-Net.

Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018 (arXiv:1804.03999), on the U-Net of
Ronneberger et al., MICCAI 2015 (arXiv:1505.04597), with batch normalisation and He initialisation (arXiv:1502.01852).
"""

from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

from stages.network.layers import attention_gate, convolution
from stages.pipeline.params import Section, Share


class Network(Section):
    """Shape of the attention U-Net."""

    stem: Literal[1, 2, 4]
    width: Annotated[int, Field(ge=1, le=512)]
    depth: Annotated[int, Field(ge=2, le=7)]
    dropout: Share

    @property
    def stride(self) -> int:
        """The number of pixels that the side of the grid has to be a multiple of."""
        return self.stem * 2 ** (self.depth - 1)


def attention_unet(size: int, stem: int, width: int, depth: int, dropout: float, seed: int = 0) -> keras.Model:
    """Build the network: grey values 0 to 255, [batch, size, size, 1], to float32 logits of the same shape.

    The first convolution has a stride of `stem` and the last one, transposed, undoes it: with stem 2 the levels work on
    grids of half the size, with stem 1 the network is the one of the paper. `size` has to be a multiple of
    stem · 2^(depth - 1).
    """
    grey = layers.Input((size, size, 1), name="grey")
    x = layers.Rescaling(1 / 127.5, offset=-1)(grey)
    x = convolution(x, width, 3 * stem, strides=stem)
    x = convolution(x, width, 3)
    skips = []
    for level in range(1, depth):
        skips.append(x)
        x = layers.MaxPooling2D()(x)
        x = convolution(x, width * 2**level, 3)
        x = convolution(x, width * 2**level, 3)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    for level in reversed(range(depth - 1)):
        filters = width * 2**level
        skip = attention_gate(skips[level], gate=x, filters=max(1, filters // 2))
        x = layers.Concatenate()([skip, layers.UpSampling2D()(x)])
        x = convolution(x, filters, 3)
        x = convolution(x, filters, 3)
    logits = layers.Conv2DTranspose(1, stem, strides=stem, dtype="float32", name="logits")(x)
    return keras.Model(grey, logits, name="attention_unet")
