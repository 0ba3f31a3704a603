import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.scoring.external import generalisation_gap
from breast_ultrasound.scoring.intervals import difference_interval

FIGURE = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


def test_the_interval_of_newcombes_example_is_reproduced() -> None:
    """Shares 56/70 and 48/80 with Wilson's intervals: method 10 gives 0.0524 to 0.3339, the first minus the second."""
    low, high = difference_interval(48 / 80, (0.4904, 0.7004), 56 / 70, (0.6918, 0.8776))
    assert (low, high) == (pytest.approx(0.0524, abs=1e-3), pytest.approx(0.3339, abs=1e-3))


@given(FIGURE, FIGURE)
def test_the_interval_holds_the_difference_and_changes_sign_with_it(one: list[float], two: list[float]) -> None:
    first, second = (one[1], (one[0], one[2])), (two[1], (two[0], two[2]))
    low, high = difference_interval(*first, *second)
    assert low <= two[1] - one[1] <= high
    assert difference_interval(*second, *first) == pytest.approx((-high, -low))


def figures(dice: float, reach: float) -> dict[str, object]:
    figure = {"value": dice, "low": dice - reach, "high": dice + reach}
    return {"after": {"lesion": {"mean per image": {"dice": figure}}, "all": {"mean per image": {}}}}


def test_the_gap_is_internal_minus_external() -> None:
    assert generalisation_gap(figures(0.8, 0.03), figures(0.7, 0.04)) == {
        "lesion Dice": {"internal": 0.8, "external": 0.7, "value": 0.1, "low": 0.05, "high": 0.15}
    }


def test_a_figure_that_one_side_lacks_is_left_out() -> None:
    internal = {**figures(0.8, 0.1), "detection": {"auc": 0.9, "low": 0.8, "high": 1.0}}
    assert generalisation_gap(internal, figures(0.7, 0.1)).keys() == {"lesion Dice"}
    assert generalisation_gap(internal, internal)["AUC"]["value"] == 0
