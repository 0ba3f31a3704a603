"""Submissions of a few images: all that is wrong is named at once, and what is left out is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Write

from breast_ultrasound.cases.raw import Case
from breast_ultrasound.findings.coco import coco
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scoring.figures import summarise_submission
from breast_ultrasound.submissions.images_to_score import ImagesToScore
from breast_ultrasound.submissions.scored import MASKS, read_mask
from breast_ultrasound.submissions.scoring import score_submission
from breast_ultrasound.submissions.submission import open_submission

IDS = ("benign (1)", "malignant (1)", "normal (1)")
LESION = np.zeros((20, 30), np.uint8)
LESION[5:9, 10:18] = 255
TRUTHS = dict(zip(IDS, (LESION, LESION[::-1], LESION * 0), strict=True))

Score = Callable[..., pd.DataFrame]


@pytest.fixture
def images(write: Write) -> ImagesToScore:
    """Three images that fold 0 tests, and one that no fold uses."""

    def case(case_id: str, truth: Any) -> Case:
        mask = write(f"raw/{case_id}_mask.png", truth)
        return Case(case_id, case_id.partition(" ")[0], mask.with_name(f"{case_id}.png"), (mask,), source="busi")

    table = pd.DataFrame({"id": IDS, "fold": 0, "source": "busi", "group": range(3), "marks": 0})
    cases = [case(case_id, truth) for case_id, truth in TRUTHS.items()]
    return ImagesToScore(cases, table, [case("benign (2)", LESION)], {"busi": "abc"})


@pytest.fixture
def score(images: ImagesToScore, tmp_path: Path) -> Score:
    def run(masks: Path | None = None, probabilities: Path | None = None, classes: Path | None = None) -> pd.DataFrame:
        (tmp_path / "scored" / MASKS).mkdir(parents=True)
        submission = open_submission(images, masks, probabilities, classes)
        return score_submission(submission, images, tmp_path / "scored")[0]

    return run


def faults(score: Score, masks: Path | None = None, probabilities: Path | None = None) -> list[str]:
    """The lines after the first one that refuses a submission, less the folder in front."""
    with pytest.raises(UserError) as refused:
        score(masks, probabilities)
    first, *lines = str(refused.value).splitlines()
    assert first == f"nothing was scored, faults: {len(lines)}"
    return [line.replace(f"{masks or probabilities}", "DIR") for line in lines]


def test_the_true_masks_score_one_and_are_kept(score: Score, write: Write, tmp_path: Path) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"masks/{case_id}.png", truth)
    scores = score(tmp_path / "masks")
    assert scores["id"].tolist() == list(IDS)
    assert scores["dice"].tolist() == [1, 1, 1]
    assert scores["peak"].isna().all()
    assert np.array_equal(read_mask(tmp_path / "scored", "benign (1)"), LESION > 0)


def test_a_coco_file_is_scored_as_its_masks_are(score: Score, tmp_path: Path) -> None:
    content = coco((f"frames/{case_id}.png", truth > 0) for case_id, truth in TRUTHS.items())
    (tmp_path / "masks.json").write_text(json.dumps(content))
    assert score(tmp_path / "masks.json")["dice"].tolist() == [1, 1, 1]


def test_an_image_that_a_coco_file_lacks_is_missing_not_empty(score: Score, tmp_path: Path) -> None:
    content = coco((f"{case_id}.png", truth > 0) for case_id, truth in list(TRUTHS.items())[:2])
    (tmp_path / "masks.json").write_text(json.dumps(content))
    assert faults(score, tmp_path / "masks.json") == ["DIR: lacks 1 of 3 images: normal (1)"]


def test_masks_of_none_of_the_images_are_refused_as_lacking(score: Score, write: Write, tmp_path: Path) -> None:
    write("masks/benign (2).png", LESION)
    assert faults(score, tmp_path / "masks") == [f"DIR: lacks 3 of 3 images: {', '.join(IDS)}"]


def test_probabilities_alone_are_cut_at_one_half(score: Score, write: Write, tmp_path: Path) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"probabilities/{case_id}.png", np.where(truth, 128, 127).astype(np.uint8))
    scores = score(probabilities=tmp_path / "probabilities")
    assert scores["dice"].tolist() == [1, 1, 1]
    assert scores["peak"].tolist() == [128 / 255, 128 / 255, 127 / 255]


def test_masks_decide_where_probabilities_are_given_as_well(score: Score, write: Write, tmp_path: Path) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"masks/{case_id}.png", truth)
        write(f"probabilities/{case_id}.png", 255 - truth)
    scores = score(tmp_path / "masks", tmp_path / "probabilities")
    assert scores["dice"].tolist() == [1, 1, 1]
    assert scores["peak"].tolist() == [1, 1, 1]


def test_all_faults_are_named_at_once(score: Score, write: Write, tmp_path: Path) -> None:
    write("masks/benign (1).png", LESION[:10])
    write("masks/malignant (1).png", LESION)
    write("masks/malignant (1)_mask.tif", LESION)
    write("masks/x.png", LESION)
    assert faults(score, tmp_path / "masks") == [
        "DIR: x.png fits no image by its name. Name it by the id of its image, or by the file of the release.",
        "DIR: malignant (1).png, malignant (1)_mask.tif are of one image, malignant (1). Keep one of them.",
        "DIR: lacks 1 of 3 images: normal (1)",
        "DIR/benign (1).png: is 30×10 pixels, its image 30×20.",
    ]


def test_a_mask_and_a_probability_of_one_image_are_both_named(score: Score, write: Write, tmp_path: Path) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"masks/{case_id}.png", truth)
        write(f"probabilities/{case_id}.png", truth)
    for folder in ("masks", "probabilities"):
        write(f"{folder}/normal (1).png", LESION[:, :5])
    with pytest.raises(UserError, match=r"faults: 2\n.*masks/normal.*\n.*probabilities/normal"):
        score(tmp_path / "masks", tmp_path / "probabilities")


def write_classes(table: Path, *rows: str) -> Path:
    table.write_text("\n".join(["id,benign,malignant,normal", *rows]), encoding="utf-8")
    return table


def test_class_probabilities_stand_beside_the_scores_and_have_figures(
    score: Score, write: Write, tmp_path: Path
) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"masks/{case_id}.png", truth)
    classes = write_classes(
        tmp_path / "classes.csv", "normal (1),0.2,0.2,0.6", "benign (1).png,0.2,0.7,0.1", "malignant (1),0.1,0.9,0"
    )
    scores = score(tmp_path / "masks", classes=classes)
    assert scores[["p_benign", "p_malignant", "p_normal"]].to_numpy().tolist() == [
        [0.2, 0.7, 0.1],
        [0.1, 0.9, 0],
        [0.2, 0.2, 0.6],
    ]
    figures = summarise_submission(scores, 0.95)["test"]["classes"]
    assert figures["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["malignant against benign"]["value"] == figures["lesion against normal"]["value"] == 1


def test_all_faults_of_a_class_table_are_named_with_those_of_the_masks(
    score: Score, write: Write, tmp_path: Path
) -> None:
    write("masks/benign (1).png", LESION[:10])
    for case_id in IDS[1:]:
        write(f"masks/{case_id}.png", LESION)
    classes = write_classes(
        tmp_path / "classes.csv", "benign (1),0.5,0.1,0.1", "benign (9),1,0,0", "normal (1),0,0,1", "normal (1),0,0,1"
    )
    with pytest.raises(UserError) as refused:
        score(tmp_path / "masks", classes=classes)
    first, *lines = str(refused.value).splitlines()
    assert first == "nothing was scored, faults: 5"
    assert [line.removeprefix(f"{tmp_path}/") for line in lines] == [
        "classes.csv: benign (9) fits no image by its name. Name it by the id of its image, or by the file of the "
        "release.",
        "classes.csv: normal (1), normal (1) are of one image, normal (1). Keep one of them.",
        "classes.csv: lacks 1 of 3 images: malignant (1)",
        "masks/benign (1).png: is 30×10 pixels, its image 30×20.",
        "classes.csv: the probabilities of benign (1) sum to 0.7, where 1 is expected.",
    ]


def test_labels_are_no_probabilities(score: Score, write: Write, tmp_path: Path) -> None:
    for case_id, truth in TRUTHS.items():
        write(f"labels/{case_id}.png", truth // 255)
    assert faults(score, probabilities=tmp_path / "labels") == [
        "no probability of any image is above 1/255. Labels 0 and 1 are masks, not probabilities."
    ]


def test_files_of_images_that_are_not_tested_and_of_other_kinds_are_left_out(
    images: ImagesToScore, write: Write, tmp_path: Path
) -> None:
    for case_id in (*IDS, "benign (2)"):
        write(f"masks/{case_id}.png", LESION)
    (tmp_path / "masks/findings.csv").touch()
    submission = open_submission(images, tmp_path / "masks")
    assert list(submission.faults) == []
    assert [note.partition(": ")[2] for note in submission.notes] == [
        "not scored, of images that no scored fold tests: 1",
        "not read, since they are of other kinds: findings.csv",
    ]


@pytest.mark.parametrize("name", ["nothing", "empty", "coco.json"])
def test_no_files_at_all_are_refused(images: ImagesToScore, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "coco.json").write_text(json.dumps(coco([])))
    with pytest.raises(UserError, match=r"is no folder|holds nothing to score"):
        open_submission(images, tmp_path / name)


def test_the_figures_of_masks_alone_have_no_calibration_and_no_area_under_the_curve(
    score: Score, write: Write, tmp_path: Path
) -> None:
    for case_id in IDS:
        write(f"masks/{case_id}.png", LESION)
    figures = summarise_submission(score(tmp_path / "masks"), 0.95)
    assert figures["test"].keys() == {"after", "error kinds", "class against mask"}
    assert figures["test"]["after"]["lesion"]["mean per image"]["dice"]["value"] == 0.5
    assert figures["test by fold"] == {
        "fold-0": {"lesion_dice": 0.5, "missed": 0.5, "normal_specificity": 0, "dice": 0.333}
    }
    assert figures["test by source"]["busi"] == figures["test"]
