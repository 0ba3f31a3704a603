"""Tables of class probabilities: what is taken, and all that is refused, at once."""

from pathlib import Path

import numpy as np
import pytest

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.submissions.class_table import parse_class_row, read_class_rows


def write(folder: Path, *lines: str) -> Path:
    table = folder / "classes.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    return table


def test_columns_are_taken_by_name_and_others_left(tmp_path: Path) -> None:
    table = write(tmp_path, "\ufeffnote,normal, malignant,benign,id", "x,0.1,0.2,0.7,benign (1)")
    [row] = read_class_rows(table)
    assert row.name == "benign (1)"
    assert parse_class_row(table, row).tolist() == [0.7, 0.2, 0.1]


@pytest.mark.parametrize("numbers", ["0.33,0.33,0.33", "0.335,0.335,0.345", "1,0,0", "1e-3,0.999,0"])
def test_probabilities_may_be_rounded_to_two_decimals(tmp_path: Path, numbers: str) -> None:
    table = write(tmp_path, "id,benign,malignant,normal", f"a,{numbers}")
    assert np.isclose(parse_class_row(table, read_class_rows(table)[0]).sum(), 1, atol=0.016)


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ("0.5,0.2,0.2", "the probabilities of a sum to 0.9, where 1 is expected."),
        ("90,5,5", "a has 90, 5, 5, where probabilities from 0 to 1 are expected."),
        ("1.2,-0.1,-0.1", "a has 1.2, -0.1, -0.1, where probabilities from 0 to 1 are expected."),
        ("nan,0,1", "a has nan, 0, 1, where probabilities from 0 to 1 are expected."),
        (",0,1", "a has , 0, 1, where probabilities from 0 to 1 are expected."),
        ("much,0,1", "a has much, 0, 1, where probabilities from 0 to 1 are expected."),
        ("0,1", "a has more or fewer cells than the first line."),
        ("0,0,1,0", "a has more or fewer cells than the first line."),
    ],
)
def test_a_row_that_is_no_distribution_is_refused(tmp_path: Path, cells: str, fault: str) -> None:
    table = write(tmp_path, "id,benign,malignant,normal", f"a,{cells}")
    with pytest.raises(UserError) as refused:
        parse_class_row(table, read_class_rows(table)[0])
    assert str(refused.value) == f"{table}: {fault}"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([], "needs the columns id, benign, malignant, normal once each; has ."),
        (["id;benign;malignant;normal"], "needs the columns id, benign, malignant, normal once each; has id;benign"),
        (["id,benign,benign,malignant,normal"], "needs the columns"),
        (["id,benign,malignant,normal"], "is empty"),
        (["id,benign,malignant,normal", ",1,0,0"], "a row has no id"),
        (['id,benign,malignant,normal\n"a'], "not a table of comma-separated values"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, lines: list[str], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        read_class_rows(write(tmp_path, *lines))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_class_rows(tmp_path / "classes.csv")
