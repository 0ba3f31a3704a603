import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS, ROOT, MadeOnce, Write, write_params
from conftest import run as run_command
from pydantic import ValidationError

from breast_ultrasound.auditing.quality import FLAGS
from breast_ultrasound.auditing.search import find_relations
from breast_ultrasound.auditing.summary import summarise
from breast_ultrasound.auditing.table import tabulate
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, write_table
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.sources.class_folders import list_cases
from stages import audit, download
from stages.audit import Audit, Params, reasons_to_drop

DEFAULT = load(Params, PARAMS).audit.model_copy(update={"sweep": 0.075})


def run(root: Path) -> pd.DataFrame:
    """The audit of a release of a few images, too few for sweeps."""
    thresholds = DEFAULT.model_copy(update={"sweep": None})
    table = tabulate(find_relations(list_cases(root), thresholds, imagenet_encoder, 0, root.parent))
    return table.assign(dropped=reasons_to_drop(table, DEFAULT))


@pytest.fixture(scope="module")
def planted(made_once: MadeOnce) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was planted in a phantom of 150 images, and the table that the audit writes of it."""

    def make(checkout: Path) -> None:
        (checkout / RAW).mkdir(parents=True)
        write_table(checkout / RAW, download.write_phantom(checkout / RAW, 150, seed=5))
        write_params(checkout, audit={"sweep": 0.075})
        # In a process of its own: the encoder limits the instructions of its process, for good.
        run_command(checkout, sys.executable, "-m", "stages.audit", PYTHONPATH=str(ROOT))

    checkout = made_once("audited", make)
    assert sorted(path.name for path in (checkout / "data").iterdir()) == ["groups.csv", "raw"]
    table = pd.read_csv(checkout / GROUPS).astype(dict.fromkeys(FLAGS, bool))
    return pd.read_csv(checkout / RAW / "planted.csv"), table


def pairs_of(groups: pd.Series) -> set[tuple[int, int]]:
    numbers = groups.tolist()
    return {(i, j) for i, a in enumerate(numbers) for j, b in enumerate(numbers) if i < j and a == b}


def test_the_planted_near_duplicates_are_found_and_no_others(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    expected, joined = pairs_of(truth["frame"]), pairs_of(table["frame"])
    assert len(expected) > 20
    assert len(expected & joined) / len(expected) >= 0.98
    assert len(expected & joined) / len(joined) >= 0.98


def test_the_planted_sweeps_are_found_and_join_no_strangers(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    near_duplicates = pairs_of(truth["frame"])
    expected, joined = pairs_of(truth["sweep"]) - near_duplicates, pairs_of(table["sweep"]) - near_duplicates
    assert len(expected) > 10
    assert len(expected & joined) / len(expected) >= 0.97
    assert len(expected & joined) / len(joined) >= 0.97
    assert (table.groupby("frame")["sweep"].nunique() == 1).all()
    assert (table.groupby("sweep")["group"].nunique() == 1).all()


def test_frames_of_a_sweep_name_their_neighbour(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, table = planted
    swept = table.groupby("sweep")["frame"].transform("nunique") > 1
    linked = table["neighbour"].notna()
    assert swept.any()
    assert (swept | ~linked).all()
    neighbours = table.set_index("id").loc[table.loc[linked, "neighbour"]]
    assert (neighbours["sweep"].to_numpy() == table.loc[linked, "sweep"]).all()
    assert (neighbours["frame"].to_numpy() != table.loc[linked, "frame"]).all()
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


def test_every_near_duplicate_names_its_nearest_image_and_no_other_image_does(
    planted: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    _, table = planted
    alike = table["frame"].duplicated(keep=False)
    assert (table["nearest"].notna() == alike).all()
    frame_of = table.set_index("id")["frame"]
    assert (frame_of[table.loc[alike, "nearest"]].to_numpy() == table.loc[alike, "frame"]).all()
    assert table.loc[alike, "similarity"].min() >= DEFAULT.similarity


def test_groups_join_frames_and_patients(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    assert table["patient"].tolist() == truth["patient"].tolist()
    assert table["group"].nunique() < min(table["frame"].nunique(), table["patient"].nunique())
    for name in ("frame", "patient"):
        assert (table.groupby(name)["group"].nunique() == 1).all()


def test_frames_filed_under_several_patients_are_flagged(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, table = planted
    expected = truth.groupby("frame")["patient"].transform("nunique") > 1
    assert expected.any()
    assert (table["several_patients"] == expected).all()
    assert summarise(table)["flagged"]["several_patients"] == expected.sum()


def test_conflicts_can_be_kept_or_near_duplicates_dropped() -> None:
    table = pd.DataFrame({"frame": [0, 0, 1, 1, 2], "conflict": [True, True, False, False, False]})
    keep = DEFAULT.model_copy(update={"conflicts": "keep", "repeats": "group"})
    thin = DEFAULT.model_copy(update={"conflicts": "drop", "repeats": "one_per_group"})
    assert reasons_to_drop(table, keep).tolist() == ["no"] * 5
    assert reasons_to_drop(table, thin).tolist() == ["conflict", "conflict", "no", "near-duplicate", "no"]


def test_conflicts_are_not_kept_where_near_duplicates_are_dropped() -> None:
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
    assert summarise(table)["frames_with_near_duplicates"] == 0


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
    assert written["id"].tolist() == [case.id for case in list_cases(release)]
    assert written["conflict"].sum() == 2
    assert written.loc[written["conflict"] == 1, "nearest"].tolist() == ["malignant (1)", "benign (1)"]
    summary = summarise(table)
    assert (summary["groups"], summary["images_with_near_duplicates"], summary["dropped"]["conflict"]) == (5, 2, 2)
