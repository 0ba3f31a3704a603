"""From probabilities to a binary mask."""

import json
import math
from pathlib import Path

from stages.common.errors import UserError
from stages.common.images import Grey, Mask


def cut(threshold: float) -> int:
    """The lowest level, of probabilities in steps of 1/255, that is at least `threshold`."""
    # 255 times a two-digit threshold can lie a hair above the whole number that it is.
    return math.ceil(255 * threshold - 1e-9)


def binary_mask(probability: Grey, threshold: float) -> Mask:
    """Lesion where a probability uint8 [height, width], 0 to 255, is at least `threshold`: bool of the same shape."""
    return probability >= cut(threshold)


def read_threshold(path: Path, model: str) -> float:
    """The threshold fitted for a model, by its file stem such as `fold-0`; UserError where there is none."""
    try:
        return json.loads(path.read_text())[model]["threshold"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: holds no threshold for {model}. Run `uv run dvc repro`, or give --threshold."
        ) from error
