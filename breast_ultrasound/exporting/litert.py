"""Exported networks computed by LiteRT, as phones do; here only to prove that a file is right."""

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.inference.exported import CLASS_PROBABILITY, GREY, PROBABILITY
from breast_ultrasound.pipeline.arrays import Grey


def litert_predict(path: Path) -> Callable[[Grey], tuple[Grey, NDArray[np.float32]]]:
    """What the network in a LiteRT file says, as a function like `Network.predict`."""
    import tensorflow as tf  # noqa: PLC0415  takes seconds, and the other formats do without

    with warnings.catch_warnings():
        # It moves to a package of its own, which is the same and a hundred megabytes more.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        run = tf.lite.Interpreter(str(path)).get_signature_runner()
    one_at_a_time = threading.Lock()

    def predict(square: Grey) -> tuple[Grey, NDArray[np.float32]]:
        with one_at_a_time:
            answer = run(**{GREY: square[None]})
        classes = answer.get(CLASS_PROBABILITY, np.empty((1, 0), np.float32))
        return np.round(255 * answer[PROBABILITY][0]).astype(np.uint8), classes[0]

    return predict
