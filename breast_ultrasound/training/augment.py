"""The random changes of a training batch: image and mask together, computed on the device."""

import math
from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from breast_ultrasound.pipeline.params import Real, Section, Share


class Augment(Section):
    """The largest random change of each kind."""

    flip: Annotated[Real, Field(ge=0, le=1)]
    rotate: Annotated[Real, Field(ge=0, le=180)]
    scale: Share
    stretch: Share
    shift: Share
    gamma: Annotated[Real, Field(ge=0, le=3)]
    contrast: Share
    speckle: Annotated[Real, Field(ge=0, le=3)]


def augment(
    images: Any, masks: Any, content: Any, limits: Augment, seed: keras.random.SeedGenerator
) -> tuple[Any, Any]:
    """Change grey images 0 to 255 and masks 0/1, both float32 [batch, size, size, 1], within `limits`.

    `content`, of the same shape and type, is 1 where the image lies and 0 in the padding around it, which stays black.
    One affine transform resamples all three bilinearly; masks and content are cut at one half. Only images get other
    grey values.
    """
    parts = ops.concatenate([images, masks, content], axis=-1)
    parts = ops.image.affine_transform(parts, affine(ops.shape(images)[0], images.shape[1], limits, seed), "bilinear")
    images, masks, content = parts[..., :1], parts[..., 1:2] > 0.5, parts[..., 2:] > 0.5
    return ops.where(content, change_grey(images, limits, seed), 0.0), ops.cast(masks, "float32")


def affine(batch: Any, size: int, limits: Augment, seed: keras.random.SeedGenerator) -> Any:
    """Draw flips, rotations, scales, stretches and shifts, as projective transforms, float32 [batch, 8].

    Each maps a point of the result to a point of the source, around the centre of the size×size grid.
    """

    def uniform(limit: float) -> Any:
        return keras.random.uniform((batch,), -limit, limit, seed=seed)

    mirror = ops.where(keras.random.uniform((batch,), seed=seed) < limits.flip, -1.0, 1.0)
    angle = uniform(math.radians(limits.rotate))
    scale = ops.exp(uniform(math.log1p(limits.scale)))
    stretch = ops.exp(uniform(math.log1p(limits.stretch)) / 2)
    x_scale, y_scale = mirror * scale * stretch, scale / stretch
    a, b = ops.cos(angle) * x_scale, -ops.sin(angle) * y_scale
    c, d = ops.sin(angle) * x_scale, ops.cos(angle) * y_scale
    centre = (size - 1) / 2
    x_shift = centre - (a + b) * centre + uniform(limits.shift * size)
    y_shift = centre - (c + d) * centre + uniform(limits.shift * size)
    zero = ops.zeros_like(a)
    return ops.stack([a, b, x_shift, c, d, y_shift, zero, zero], axis=-1)


def change_grey(images: Any, limits: Augment, seed: keras.random.SeedGenerator) -> Any:
    """Draw gamma, contrast, brightness and speckle-like noise for float32 [batch, size, size, 1], 0 to 255."""

    def uniform(limit: float) -> Any:
        return keras.random.uniform((ops.shape(images)[0], 1, 1, 1), -limit, limit, seed=seed)

    x = ops.power(ops.clip(images / 255, 0, 1), ops.exp(uniform(limits.gamma)))
    x = 0.5 + (x - 0.5) * (1 + uniform(limits.contrast)) + uniform(limits.contrast) / 2
    x = x * (1 + limits.speckle * keras.random.normal(ops.shape(images), seed=seed))
    return 255 * ops.clip(x, 0, 1)
