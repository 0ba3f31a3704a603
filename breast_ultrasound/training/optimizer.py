"""The optimizer, and how its learning rate changes over a training."""

import keras

from breast_ultrasound.training.settings import Train


def optimizer(train: Train, steps: int, precision: str) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101) for a training of `steps` in all.

    The learning rate warms up, then falls to zero along a cosine. Gradients are clipped, and a moving average of the
    weights is kept. In float16 the loss is scaled, so that small gradients don't vanish.
    """
    warmup = round(train.warmup * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else train.learning_rate,
        max(1, steps - warmup),
        warmup_target=train.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    adam = keras.optimizers.AdamW(
        rate, weight_decay=train.weight_decay, global_clipnorm=train.clip_norm, use_ema=True, ema_momentum=train.ema
    )
    adam.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return keras.optimizers.LossScaleOptimizer(adam) if precision == "float16" else adam
