"""The sections of params.yaml that a training reads."""

from typing import Annotated

from pydantic import Field

from breast_ultrasound.network.unet import Network
from breast_ultrasound.pipeline.params import Real, Section, Seed, Share
from breast_ultrasound.training.augment import Augment


class Train(Section):
    """Training."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    learning_rate: Annotated[Real, Field(gt=0, le=1)]
    warmup: Share
    weight_decay: Annotated[Real, Field(ge=0, le=1)]
    clip_norm: Annotated[Real, Field(gt=0, le=1e6)]
    ema: Share
    patience: Annotated[int, Field(ge=1, le=10_000)]
    class_weight: Annotated[Real, Field(ge=0, le=100)]


class TrainingSettings(Section):
    """What a training reads beside the hardware."""

    seed: Seed
    network: Network
    augment: Augment
    train: Train
