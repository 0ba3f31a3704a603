import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import MadeOnce, Write
from pydantic import ValidationError

from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, write_table
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.repeats.duplicates import Pair, group
from breast_ultrasound.repeats.quality import FLAGS
from breast_ultrasound.repeats.search import Found, find_alike
from breast_ultrasound.sources.release import scan
from stages import audit, download
from stages.audit import Audit, Params

DEFAULT = load(Params).audit


def run(root: Path) -> pd.DataFrame:
    """The audit of a release of a few images, too few for sweeps."""
    return audit.tabulate(find_alike(scan(root), DEFAULT.similarity, None, imagenet_encoder, 0, root.parent), DEFAULT)


def tabulate(figures: pd.DataFrame, pairs: list[Pair]) -> pd.DataFrame:
    frames = group(len(figures), pairs, DEFAULT.similarity, DEFAULT.similarity)
    return audit.tabulate(Found(figures, pairs, frames, []), DEFAULT)


@pytest.fixture(scope="module")
def planted(made_once: MadeOnce) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was planted in a phantom of 150 images, and what the audit says of it."""

    def make(checkout: Path) -> None:
        (checkout / RAW).mkdir(parents=True)
        write_table(checkout / RAW, download.write_phantom(checkout / RAW, 150, seed=5))
        shutil.copyfile("params.yaml", checkout / "params.yaml")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(checkout)
            audit.main()

    checkout = made_once("audited", make)
    assert sorted(path.name for path in (checkout / "data").iterdir()) == ["groups.csv", "raw"]
    table = pd.read_csv(checkout / GROUPS).astype(dict.fromkeys(FLAGS, bool))
    return pd.read_csv(checkout / RAW / "planted.csv"), table


def pairs_of(groups: pd.Series) -> set[tuple[int, int]]:
    numbers = groups.tolist()
    return {(i, j) for i, a in enumerate(numbers) for j, b in enumerate(numbers) if i < j and a == b}


def test_the_planted_repeats_are_found_and_no_others(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    expected, found = pairs_of(truth["frame"]), pairs_of(table["frame"])
    assert len(expected) > 20
    assert len(expected & found) / len(expected) >= 0.98
    assert len(expected & found) / len(found) >= 0.98


def test_the_planted_sweeps_are_found_and_join_no_strangers(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    repeats = pairs_of(truth["frame"])
    expected, found = pairs_of(truth["sweep"]) - repeats, pairs_of(table["sweep"]) - repeats
    assert len(expected) > 10
    assert len(expected & found) / len(expected) >= 0.97
    assert len(expected & found) / len(found) >= 0.97
    assert (table.groupby("frame")["sweep"].nunique() == 1).all()
    assert (table.groupby("sweep")["group"].nunique() == 1).all()


def test_frames_of_a_sweep_name_their_neighbour(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, table = planted
    swept = table.groupby("sweep")["frame"].transform("nunique") > 1
    linked = table["neighbour"].notna()
    assert swept.any()
    assert (swept | ~linked).all()
    of = table.set_index("id")
    assert (of.loc[table.loc[linked, "neighbour"], "sweep"].to_numpy() == table.loc[linked, "sweep"]).all()
    assert (of.loc[table.loc[linked, "neighbour"], "frame"].to_numpy() != table.loc[linked, "frame"]).all()
    assert table.loc[linked, "closeness"].min() >= DEFAULT.sweep


def test_the_planted_marks_are_found(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    assert table["marks"][truth["marks"]].mean() >= 0.95
    assert (~table["marks"])[~truth["marks"]].mean() >= 0.95


def test_conflicts_are_the_frames_filed_under_two_classes(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    expected = truth.groupby("frame")["class"].transform("nunique") > 1
    assert expected.any()
    assert (table["conflict"] == expected).all()
    assert (table["dropped"] == np.where(expected, "conflict", "no")).all()


def test_every_repeat_names_its_nearest_image_and_no_single_does(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, table = planted
    repeated = table["frame"].duplicated(keep=False)
    assert (table["nearest"].notna() == repeated).all()
    frame_of = table.set_index("id")["frame"]
    assert (frame_of[table.loc[repeated, "nearest"]].to_numpy() == table.loc[repeated, "frame"]).all()
    assert table.loc[repeated, "similarity"].min() >= DEFAULT.similarity


def test_groups_join_frames_and_patients(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    assert table["patient"].tolist() == truth["patient"].tolist()
    assert table["group"].nunique() < min(table["frame"].nunique(), table["patient"].nunique())
    for name in ("frame", "patient"):
        assert (table.groupby(name)["group"].nunique() == 1).all()


def test_frames_filed_under_several_patients_are_told(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    expected = truth.groupby("frame")["patient"].transform("nunique") > 1
    assert expected.any()
    assert (table["several_patients"] == expected).all()
    assert audit.summarise(table)["flagged"]["several_patients"] == expected.sum()


def test_an_unknown_patient_joins_nothing() -> None:
    figures = pd.DataFrame({"id": list("abcd"), "class": "benign", "patient": ["", "", "P", "P"], "burned_pixels": 0})
    figures = figures.assign(mask_pixels=1, border_pixels=0, mask_parts=1, masks=1, contrast=99)
    table = tabulate(figures, [Pair(1, 2, 0.99, mirrored=False, same_view=True)])
    assert table["frame"].tolist() == [0, 1, 1, 2]
    assert table["group"].tolist() == [0, 1, 1, 1]
    assert not table["several_patients"].any()
    assert audit.summarise(table)["images_of_unknown_patients"] == 2


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
def test_a_lesion_of_unknown_kind_contradicts_normal_alone(classes: str, conflict: bool) -> None:
    names = {"b": "benign", "m": "malignant", "l": "lesion", "n": "normal"}
    table = pd.DataFrame({"class": [names[cls] for cls in classes] + ["normal"], "frame": [0] * len(classes) + [1]})
    assert audit.conflicts(table).tolist() == [conflict] * len(classes) + [False]


def test_conflicts_can_be_kept_or_repeats_thinned_out() -> None:
    table = pd.DataFrame({"frame": [0, 0, 1, 1, 2], "conflict": [True, True, False, False, False]})
    keep = DEFAULT.model_copy(update={"conflicts": "keep", "repeats": "group"})
    thin = DEFAULT.model_copy(update={"conflicts": "drop", "repeats": "one_per_group"})
    assert audit.dropped(table, keep).tolist() == ["no"] * 5
    assert audit.dropped(table, thin).tolist() == ["conflict", "conflict", "no", "repeat", "no"]


def test_conflicts_are_not_kept_where_repeats_are_thinned_out() -> None:
    with pytest.raises(ValidationError, match="set conflicts to drop, or repeats to group"):
        Audit.model_validate({**DEFAULT.model_dump(), "conflicts": "keep", "repeats": "one_per_group"})


def test_faults_of_masks_are_flagged_with_their_evidence(release: Path, write: Write) -> None:
    write("release/benign/benign (1)_mask.png", np.zeros((40, 60), np.uint8))
    edge, specks = np.zeros((2, 40, 60), np.uint8)
    edge[0, 3:7] = 255
    specks[::8, ::8] = 255
    write("release/malignant/malignant (1)_mask.png", edge)
    write("release/malignant/malignant (2)_mask.png", np.roll(specks, (3, 3), (0, 1)))
    table = run(release).set_index("id")
    assert table.index[table["mask_empty_in_lesion_class"]].tolist() == ["benign (1)"]
    assert list(table.loc["malignant (1)", ["mask_touches_border", "border_pixels"]]) == [True, 4]
    assert list(table.loc["malignant (2)", ["mask_many_parts", "mask_parts"]]) == [True, 40]
    assert not table.loc["benign (2)", "mask_many_parts"]


def test_identical_images_without_texture_form_one_group(release: Path, write: Write) -> None:
    for cls in ("benign", "malignant", "normal"):
        for number in (1, 2):
            write(f"release/{cls}/{cls} ({number}).png", np.full((40, 60), 90, np.uint8))
    table = run(release)
    assert set(table["group"]) == {0}
    assert table["low_contrast"].all()


@pytest.mark.parametrize("images", [1, 2])
def test_one_or_two_images_are_audited(release: Path, images: int) -> None:
    shutil.rmtree(release / "malignant")
    shutil.rmtree(release / "normal")
    if images == 1:
        for path in (release / "benign").glob("benign (2)*"):
            path.unlink()
    table = run(release)
    assert table["group"].tolist() == list(range(images))
    assert audit.summarise(table)["frames_with_repeats"] == 0


def test_a_tiny_image_is_audited(release: Path, write: Write) -> None:
    write("release/benign/benign (1).png", np.zeros((1, 1), np.uint8))
    write("release/benign/benign (1)_mask.png", np.zeros((1, 1), np.uint8))
    assert len(run(release)) == 6


def test_the_files_hold_every_image_and_counts_that_add_up(release: Path, tmp_path: Path) -> None:
    again = np.asarray(cv2.imread(str(release / "benign" / "benign (1).png"), cv2.IMREAD_GRAYSCALE))
    cv2.imwrite(str(release / "malignant" / "malignant (1).png"), again)
    table = run(release)
    audit.write(table, tmp_path / "groups.csv", tmp_path / "audit.json")
    written = pd.read_csv(tmp_path / "groups.csv")
    assert written["id"].tolist() == [case.id for case in scan(release)]
    assert written["conflict"].sum() == 2
    assert written.loc[written["conflict"] == 1, "nearest"].tolist() == ["malignant (1)", "benign (1)"]
    summary = audit.summarise(table)
    assert (summary["groups"], summary["images_with_repeats"], summary["dropped"]["conflict"]) == (5, 2, 2)


def test_a_pair_below_the_threshold_is_no_repeat() -> None:
    figures = pd.DataFrame({"id": ["a", "b"], "class": "benign", "patient": "", "burned_pixels": 0, "mask_pixels": 1})
    figures = figures.assign(border_pixels=0, mask_parts=1, masks=1, contrast=99)
    table = tabulate(figures, [Pair(0, 1, 0.24, mirrored=False, same_view=True)])
    assert table["group"].tolist() == [0, 1]
    assert table["nearest"].isna().all()
