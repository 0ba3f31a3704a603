"""The tables that the report's charts and `dvc plots` draw, of the test images."""

from pathlib import Path

import numpy as np
import pandas as pd

from breast_ultrasound.scoring.lesions import has_lesion
from breast_ultrasound.scoring.pixels import Levels, precision_recall, reliability

PLOTS = Path("metrics/plots")


def plot_tables(scores: pd.DataFrame, levels: Levels) -> dict[str, pd.DataFrame]:
    """Return each table by its name, of the scores of images before and after post-processing, and their pixels."""
    before, after = (scores[scores["postprocessing"] == when].reset_index(drop=True) for when in ("before", "after"))
    return {
        "precision_recall": precision_recall(levels),
        "reliability": reliability(levels),
        "dice_by_size": after.loc[has_lesion(after), ["id", "class", "lesion_share", "dice"]].round(4),
        "dice_distribution": dice_distribution(after),
        "error_kinds": pd.DataFrame({"before": before["kind"], "after": after["kind"]}),
    }


def dice_distribution(scores: pd.DataFrame) -> pd.DataFrame:
    """Count the images of each class by tenth of Dice, `dice_from` being the lower end."""
    tenth = np.minimum((scores["dice"] * 10).astype(int), 9) / 10
    table = scores.groupby([scores["class"], tenth.rename("dice_from")]).size().rename("images")
    return table.reset_index()
