"""The settings that Keras reads when it starts: those of this project, whatever a user's home and environment hold."""

import os
from pathlib import Path

# Precision, epsilon and layout decide what a network computes. Keras reads them from keras.json in this folder.
_HOME = Path(__file__).with_name("keras")

# Limits for debugging, and a switch of another way to hold weights.
_LEFT_OUT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


def pin_keras_settings() -> None:
    """Set what Keras reads at its first import. KERAS_BACKEND stays the user's choice."""
    os.environ["KERAS_HOME"] = str(_HOME)
    for name in _LEFT_OUT:
        os.environ.pop(name, None)
