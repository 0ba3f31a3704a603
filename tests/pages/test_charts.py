"""Charts as SVG text."""

import numpy as np
import pandas as pd

from breast_ultrasound.pages.charts import dice_by_size


def sized(images: int) -> pd.DataFrame:
    """The Dice and sizes of so many lesion images."""
    rng = np.random.default_rng(0)
    share, dice = rng.uniform(0.001, 0.5, images), rng.uniform(0, 1, images)
    return pd.DataFrame({"class": rng.choice(["benign", "malignant"], images), "lesion_share": share, "dice": dice})


def test_the_chart_of_many_images_weighs_little_and_has_the_same_bytes_again() -> None:
    chart = dice_by_size(sized(20_000))
    assert len(chart) < 200_000
    assert chart == dice_by_size(sized(20_000))
