from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from breast_ultrasound.scoring.scores import add_scores
from stages.evaluate import write_plots, write_tables


def test_every_table_that_is_drawn_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts = pd.DataFrame(
        {"id": ["a", "b"], "class": ["benign", "normal"], "tp": [5, 0], "fp": 0, "fn": [5, 0], "tn": 90}
    )
    images = add_scores(counts).assign(subset="test", lesion_share=[0.1, 0.0], kind="good")
    Path("metrics").mkdir()
    write_plots(
        pd.concat([images.assign(postprocessing=when) for when in ("before", "after")]), np.ones((2, 256), np.int64)
    )
    names = {"precision_recall", "reliability", "dice_by_size", "dice_distribution", "error_kinds"}
    assert {path.stem for path in Path("metrics/plots").iterdir()} == names


def test_figures_follow_from_the_digits_that_are_written(tmp_path: Path) -> None:
    folds = [pd.DataFrame({"id": ["a"], "dice": [1 / 3]}), pd.DataFrame({"id": ["b"], "dice": [np.nan]})]
    table = write_tables(tmp_path / "scores.csv", folds)
    assert table["id"].tolist() == ["a", "b"]
    assert table["dice"].iloc[0] == 0.333333
    assert np.isnan(table["dice"].iloc[1])
