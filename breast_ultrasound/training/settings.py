"""The sections of params.yaml that a training reads."""

from typing import Annotated

from pydantic import Field

from breast_ultrasound.network.unet import Network
from breast_ultrasound.pipeline.params import NotNegative, Positive, Section, Seed, Share
from breast_ultrasound.training.augment import Augment


class Train(Section):
    """Training."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Positive
    warmup: Share
    weight_decay: NotNegative
    clip_norm: Positive
    ema: Share
    patience: Annotated[int, Field(ge=1)]
    class_weight: NotNegative


class Settings(Section):
    """What a training reads beside the hardware."""

    seed: Seed
    network: Network
    augment: Augment
    train: Train
