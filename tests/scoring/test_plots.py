import numpy as np
import pandas as pd

from breast_ultrasound.scoring.plots import dice_distribution, plot_tables
from breast_ultrasound.scoring.scores import add_scores


def test_the_table_of_sizes_holds_the_images_with_a_lesion_in_their_true_mask() -> None:
    counts = {"tp": [5, 0, 3], "fp": [0, 0, 0], "fn": [5, 0, 0], "tn": [90, 100, 97]}
    images = pd.DataFrame({"id": ["a", "b", "c"], "class": ["benign", "benign", "normal"], **counts})
    images = add_scores(images).assign(lesion_share=[0.1, 0.0, 0.03], kind="good")
    tested = pd.concat([images.assign(postprocessing=when) for when in ("before", "after")])
    assert plot_tables(tested, np.ones((2, 256), np.int64))["dice_by_size"]["id"].tolist() == ["a", "c"]


def test_the_distribution_of_dice_counts_every_image() -> None:
    scores = pd.DataFrame({"class": ["benign", "benign", "normal"], "dice": [0.0, 1.0, 0.95]})
    table = dice_distribution(scores)
    assert table["images"].sum() == 3
    assert set(table["dice_from"]) == {0.0, 0.9}
