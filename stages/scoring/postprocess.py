"""From probabilities to a binary mask, and the choice of how, made on validation images.

Lengths are shares of the square root of the image's area and areas shares of it, so that one choice serves every size.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field
from scipy import ndimage

from stages.pipeline.arrays import Grey, Mask
from stages.pipeline.errors import UserError
from stages.pipeline.params import Between, Section, Shares, Switch

POSTPROCESS = Path("metrics/postprocess.json")


class Postprocess(Section):
    """Values tried for each step from a probability to a mask, in the order of the steps."""

    smooth: Shares
    threshold: Annotated[tuple[Between, ...], Field(strict=False, min_length=1)]
    peak: Shares
    opening: Shares
    closing: Shares
    fill_holes: Switch
    part_area: Shares
    largest_only: Switch
    evidence: Shares


@dataclass(frozen=True)
class Steps:
    """The steps from a probability to a mask, in their order, each off by default; params.yaml explains each.

    The default is the network's bare answer: more likely lesion than not.
    """

    smooth: float = 0.0
    threshold: float = 0.5
    peak: float = 0.0
    opening: float = 0.0
    closing: float = 0.0
    fill_holes: bool = False
    part_area: float = 0.0
    largest_only: bool = False
    evidence: float = 0.0


def cut(probability: float) -> int:
    """The lowest level, of probabilities in steps of 1/255, that is at least `probability`."""
    # 255 times a two-digit number can lie a hair above the whole number that it is.
    return math.ceil(255 * probability - 1e-9)


def binary_mask(probability: Grey, steps: Steps) -> Mask:
    """The mask, bool [height, width], of a probability uint8 [height, width], 0 to 255."""
    side = math.sqrt(probability.size)
    if steps.smooth:
        probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), max(steps.smooth * side, 0.1)), np.uint8)
    mask = probability >= cut(steps.threshold)
    if not mask.any():
        return mask
    for operation, radius in ((cv2.MORPH_OPEN, steps.opening), (cv2.MORPH_CLOSE, steps.closing)):
        mask = _morphology(mask, operation, round(radius * side))
    if steps.fill_holes:
        mask = np.asarray(ndimage.binary_fill_holes(mask))
    if steps.peak or steps.part_area or steps.largest_only:
        mask = _keep_parts(mask, probability, steps)
    if mask.any() and probability[mask].mean() < 255 * steps.evidence:
        return np.zeros_like(mask)
    return mask


def _morphology(mask: Mask, operation: int, radius: int) -> Mask:
    if not radius:
        return mask
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # Padded, or a closing would reach for the edge of the image.
    padded = np.pad(mask.astype(np.uint8), radius)
    return cv2.morphologyEx(padded, operation, disk)[radius:-radius, radius:-radius] > 0


def _keep_parts(mask: Mask, probability: Grey, steps: Steps) -> Mask:
    """The parts that are large and certain enough, or the largest of them alone."""
    parts, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    labels, areas = np.asarray(found, np.int64), stats[:, cv2.CC_STAT_AREA]
    peaks = np.asarray(ndimage.maximum(probability, labels, np.arange(parts)))
    keep = (areas >= steps.part_area * mask.size) & (peaks >= cut(steps.peak))
    keep[0] = False
    if steps.largest_only and keep.any():
        keep &= np.arange(parts) == np.argmax(np.where(keep, areas, 0))
    return keep[labels]


def fit(
    candidates: dict[str, Sequence[Any]], objective: Callable[[Steps], float], least_gain: float
) -> tuple[Steps, float]:
    """The best steps and their objective, by two rounds of coordinate ascent from the default.

    Each step in turn takes the best of its `candidates`, if that gains at least `least_gain`; of equals the first.
    """
    best, reached = Steps(), objective(Steps())
    for _ in range(2):
        before = best
        for name, values in candidates.items():
            tried = [replace(best, **{name: value}) for value in values if value != getattr(best, name)]
            results = [objective(steps) for steps in tried]
            if results and max(results) >= reached + least_gain:
                reached = max(results)
                best = tried[results.index(reached)]
        if best == before:
            break
    return best, reached


def read_steps(path: Path, model: str) -> Steps:
    """The steps fitted for a model, by its file stem such as `fold-0`; UserError where there are none."""
    try:
        fitted = json.loads(path.read_text())[model]
        return Steps(**{field.name: fitted[field.name] for field in fields(Steps)})
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: holds no post-processing for {model}. Run `uv run dvc repro`, or give --threshold."
        ) from error
