from pathlib import Path

import pandas as pd
import pytest

from breast_ultrasound.pipeline.tables import read_table


@pytest.mark.parametrize("name", ["007", "1e5", "NA", "null", "true", "nan", ""])
def test_names_stay_as_they_are_written(name: str, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a", name], "patient": [name, ""], "dice": [0.5, None]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    table = read_table(tmp_path / "t.csv")
    assert table["id"].tolist() == ["a", name]
    assert table["patient"].tolist() == [name, ""]
    assert table["dice"].isna().tolist() == [False, True]
