"""Exported networks computed by LiteRT, as phones do; here only to prove that a file is right."""

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from breast_ultrasound.inference.output import Output
from breast_ultrasound.network.names import CLASS_PROBABILITY, FEATURE_DISTANCE, GREY, PROBABILITY
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.tensorflow_start import held_stderr


def litert_predict(path: Path) -> Callable[[Grey], Output]:
    """Open a LiteRT file; return a function like `ExportedNetwork.predict`."""
    import tensorflow as tf  # noqa: PLC0415  takes seconds, and the other formats do without

    with held_stderr(), warnings.catch_warnings():
        # It moves to a package of its own, which is the same and a hundred megabytes more.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        run = tf.lite.Interpreter(str(path)).get_signature_runner()
    one_at_a_time = threading.Lock()

    def predict(grid: Grey) -> Output:
        with one_at_a_time:
            outputs = run(**{GREY: grid[None]})
        classes = outputs.get(CLASS_PROBABILITY, np.empty((1, 0), np.float32))
        distance = float(outputs[FEATURE_DISTANCE][0]) if FEATURE_DISTANCE in outputs else None
        return Output(np.round(255 * outputs[PROBABILITY][0]).astype(np.uint8), classes[0], distance)

    return predict
