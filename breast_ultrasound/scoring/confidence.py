"""How well confidence ranks and matches the outcome: of the class of an image, and of its mask."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.scoring.intervals import DIGITS, rank


def mean_of_most_confident(confidence: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean value [n] of the images of highest confidence [n], by the share of images that these are.

    >>> mean_of_most_confident(np.array([0.9, 0.2]), np.array([1.0, 0.0]))["50%"]
    1.0
    """
    order = np.argsort(-confidence, kind="stable")
    return {
        f"{share}%": round(float(value[order[: max(1, round(len(order) * share / 100))]].mean()), DIGITS)
        for share in range(50, 101, 10)
    }


def reliability(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, Any]:
    """Return the expected calibration error of probabilities [n] of being right, 0 or 1 [n], and its bins by tenths."""
    tenth = np.minimum((confidence * 10).astype(int), 9)
    bins = pd.DataFrame({"probability": confidence, "right": right}).groupby(tenth)
    table = bins.mean().assign(images=bins.size())
    gap = (table["probability"] - table["right"]).abs()
    return {
        "calibration error": round(float((gap * table["images"]).sum() / len(confidence)), DIGITS),
        "reliability": table.round(DIGITS).to_dict("records"),
    }


def predicted_dice(scores: pd.DataFrame) -> dict[str, Any]:
    """Return how well the predicted Dice of masks agrees with their Dice, of a table with these two columns.

    The rank correlation is Spearman's, left out where either is the same for all images.
    """
    predicted, dice = scores["predicted_dice"].to_numpy(float), scores["dice"].to_numpy(float)
    figures: dict[str, Any] = {"mean": round(float(predicted.mean()), DIGITS)}
    figures["Dice of the most confident"] = mean_of_most_confident(predicted, dice)
    if len(np.unique(predicted)) > 1 and len(np.unique(dice)) > 1:
        figures["rank correlation"] = round(float(np.corrcoef(rank(predicted), rank(dice))[0, 1]), DIGITS)
    return figures
