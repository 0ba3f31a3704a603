"""Charts as SVG text."""

import numpy as np
import pandas as pd

from breast_ultrasound.pages.charts import curves, dice_by_size


def sized(images: int) -> pd.DataFrame:
    """The Dice and sizes of so many lesion images."""
    rng = np.random.default_rng(0)
    share, dice = rng.uniform(0.001, 0.5, images), rng.uniform(0, 1, images)
    return pd.DataFrame({"class": rng.choice(["benign", "malignant"], images), "lesion_share": share, "dice": dice})


def test_the_chart_of_many_images_weighs_little_and_has_the_same_bytes_again() -> None:
    chart = dice_by_size(sized(20_000))
    assert len(chart) < 200_000
    assert chart == dice_by_size(sized(20_000))


def test_a_training_of_few_epochs_has_whole_epochs_on_its_axis() -> None:
    chart = curves([pd.DataFrame({"train": [0.1, 0.2, 0.3]})])
    assert ">2</text>" in chart
    assert ">2.0</text>" not in chart
