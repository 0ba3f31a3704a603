from pathlib import Path

import pandas as pd
import pytest

from breast_ultrasound.pipeline.tables import read_table


@pytest.mark.parametrize("name", ["007", "1e5", "NA", "null", "true", "nan", ""])
def test_names_stay_as_they_are_written(name: str, tmp_path: Path) -> None:
    columns = ("id", "patient", "nearest", "neighbour", "subset")
    named = {column: [name, ""] for column in columns}
    pd.DataFrame(named | {"dice": [0.5, None]}).to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv")
    for column in columns:
        assert table[column].tolist() == [name, ""]
    assert table["dice"].isna().tolist() == [False, True]
