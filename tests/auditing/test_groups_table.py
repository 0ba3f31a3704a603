import pandas as pd
import pytest

from breast_ultrasound.auditing.near_duplicates import NearDuplicatePair, group_pairs
from breast_ultrasound.auditing.search import Relations
from breast_ultrasound.auditing.summary import summarise
from breast_ultrasound.auditing.sweeps import SweepPair, chain
from breast_ultrasound.auditing.table import have_conflicts, tabulate


def audited(
    patients: list[str], near_duplicates: list[NearDuplicatePair], sweep_pairs: list[SweepPair] | None = None
) -> pd.DataFrame:
    """The table of benign images a, b, c, … without faults."""
    images = len(patients)
    figures = pd.DataFrame({"id": list("abcdef")[:images], "class": "benign", "patient": patients, "burned_pixels": 0})
    figures = figures.assign(source="", fold=None, mask_pixels=1, border_pixels=0, mask_parts=1, masks=1, contrast=99)
    frames = group_pairs(images, near_duplicates, 0.9, 0.9)
    sweeps = chain(images, sweep_pairs) if sweep_pairs else frames
    return tabulate(Relations(figures, near_duplicates, sweep_pairs or [], frames, sweeps))


def near_duplicates(first: int, second: int, similarity: float) -> NearDuplicatePair:
    return NearDuplicatePair(first, second, similarity, mirrored=False, same_view=True)


def test_an_unknown_patient_joins_nothing() -> None:
    table = audited(["", "", "P", "P"], [near_duplicates(1, 2, 0.99)])
    assert table["frame"].tolist() == [0, 1, 1, 2]
    assert table["group"].tolist() == [0, 1, 1, 1]
    assert not table["several_patients"].any()
    assert summarise(table.assign(dropped="no"))["images_of_unknown_patients"] == 2


def test_a_pair_below_the_threshold_is_no_near_duplicate() -> None:
    table = audited(["", ""], [near_duplicates(0, 1, 0.89)])
    assert table["group"].tolist() == [0, 1]
    assert table["nearest"].isna().all()


def test_the_nearest_image_is_the_most_similar_one_of_the_frame() -> None:
    table = audited([""] * 4, [near_duplicates(0, 1, 0.92), near_duplicates(0, 2, 0.97)])
    assert table["nearest"].tolist()[:3] == ["c", "a", "a"]
    assert table["similarity"].tolist()[:3] == [0.97, 0.92, 0.97]
    assert table["nearest"].isna().tolist() == [False, False, False, True]


def test_the_neighbour_is_the_first_image_of_the_closest_frame_of_the_sweep() -> None:
    table = audited([""] * 4, [], [SweepPair(0, 1, 0.1), SweepPair(1, 2, 0.2)])
    assert table["sweep"].tolist() == [0, 0, 0, 1]
    assert table["neighbour"].tolist()[:3] == ["b", "c", "b"]
    assert table["closeness"].tolist()[:3] == [0.1, 0.2, 0.2]
    assert table["closeness"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("classes", "conflict"),
    [
        ("bb", False),
        ("bm", True),
        ("bl", False),
        ("ll", False),
        ("ln", True),
        ("bn", True),
        ("nn", False),
        ("blm", True),
    ],
)
def test_a_lesion_of_unspecified_type_conflicts_with_normal_alone(classes: str, conflict: bool) -> None:
    names = {"b": "benign", "m": "malignant", "l": "lesion", "n": "normal"}
    table = pd.DataFrame({"class": [names[cls] for cls in classes] + ["normal"], "frame": [0] * len(classes) + [1]})
    assert have_conflicts(table).tolist() == [conflict] * len(classes) + [False]
