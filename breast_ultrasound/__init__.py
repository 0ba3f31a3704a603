"""Segment breast lesions in ultrasound: the library of the pipeline's stages and of the commands.

The names in `__all__` are for notebooks and scripts; docs/library.md shows them at work. Each is imported from its room
at its first use, so that importing the package loads none of NumPy, pandas, OpenVINO and TensorFlow.
"""

from importlib import import_module
from typing import Any

from breast_ultrasound.pipeline.keras_start import pin_keras_settings
from breast_ultrasound.pipeline.tensorflow_start import prepare_tensorflow

pin_keras_settings()
prepare_tensorflow()

__all__ = ["PRETRAINED", "open_network", "read_folds", "read_frames", "score_mask", "segment"]  # pyright: ignore[reportUnsupportedDunderAll]

_ROOMS = {
    "PRETRAINED": "inference.choice",
    "open_network": "inference.exported",
    "read_folds": "cases.folds",
    "read_frames": "scans.reading",
    "score_mask": "scoring.mask",
    "segment": "inference.segmentation",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
