import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from breast_ultrasound.scoring import figures
from breast_ultrasound.scoring.error_kinds import classify
from breast_ultrasound.scoring.intervals import DIGITS
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.scores import add_scores

TEST = PairedTest(draws=200, confidence=0.95, seed=0)


def table(images: int, fill: str, classes: tuple[str, ...] = ("benign", "malignant", "normal")) -> pd.DataFrame:
    """Scores of a model that predicts nothing, everything or noise, and of post-processing that changes nothing."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in range(images):
        cls = classes[number % len(classes)]
        lesion = 0 if cls == "normal" else 200
        found = {"nothing": 0.0, "everything": 1.0}.get(fill, rng.random())
        tp, fp = round(lesion * found), round((1000 - lesion) * found)
        row = {"id": f"{cls} ({number})", "class": cls, "group": number // 2, "marks": number % 2}
        row |= {"lesion_share": (lesion + number) / 1000 if lesion else 0, "predicted_share": (tp + fp) / 1000}
        row |= {
            "tp": tp,
            "fp": fp,
            "fn": lesion - tp,
            "tn": 1000 - lesion - fp,
            "peak": found,
            "fragments": 0.0,
            "expected_dice": found,
        }
        distance = 3.0 if lesion and found else math.nan
        rows += [row | {"stage": stage, "hd95": distance, "assd": distance} for stage in ("before", "after")]
    scores = add_scores(pd.DataFrame(rows))
    return scores.assign(kind=classify(scores))


@pytest.mark.parametrize("fill", ["nothing", "everything", "noise"])
@pytest.mark.parametrize("images", [1, 2, 12])
@pytest.mark.parametrize("classes", [("benign",), ("normal",), ("benign", "malignant", "normal")])
def test_any_model_on_any_images_gives_figures_without_nan(fill: str, images: int, classes: tuple[str, ...]) -> None:
    found = figures.summarise(table(images, fill, classes), TEST)
    json.dumps(found, allow_nan=False)
    figures.headline(found)
    assert found["after"]["all"]["images"] == images


def test_means_and_pooled_figures_are_both_there_and_differ() -> None:
    counts = {"tp": [90, 0], "fp": [0, 10], "fn": [0, 10], "tn": [10, 80]}
    scores = add_scores(
        pd.DataFrame({"class": "benign", "group": [0, 1], "hd95": 1.0, "assd": 1.0, "predicted_share": 0.1, **counts})
    )
    found = figures.stratum(scores, TEST.confidence)
    assert found["mean per image"]["dice"]["value"] == 0.5
    assert found["pooled over pixels"]["dice"] == pytest.approx(0.9)


def test_images_left_out_of_a_mean_are_counted() -> None:
    found = figures.summarise(table(12, "nothing"), TEST)
    assert "precision" not in found["after"]["lesion"]["mean per image"]
    assert found["after"]["all"]["mean per image"]["sensitivity"]["left_out"] == 4
    assert found["after"]["all"]["normals left clean"]["value"] == 1


def test_where_all_normals_are_clean_the_interval_keeps_its_width() -> None:
    scores = table(12, "nothing").assign(group=lambda rows: rows["id"].factorize()[0])
    found = figures.summarise(scores, TEST)["after"]
    for clean in (found["all"]["normals left clean"], found["normal"]["mean per image"]["dice"]):
        assert (clean["value"], clean["low"], clean["high"]) == (1, pytest.approx(0.398, abs=0.001), 1)


def test_a_distance_in_a_single_group_has_no_interval() -> None:
    found = figures.summarise(table(1, "everything"), TEST)["after"]["all"]["mean per image"]
    assert (found["hd95"]["value"], found["hd95"]["low"], found["hd95"]["high"]) == (3, None, None)
    assert found["dice"]["low"] is not None


def contradicting() -> pd.DataFrame:
    """Scores of a model that finds nothing, of nine images: one benign has an empty mask, one normal a lesion in it."""
    scores = table(9, "nothing")
    for image, lesion in (("benign (0)", 0), ("normal (2)", 100)):
        rows = scores["id"] == image
        scores.loc[rows, ["fn", "tn", "lesion_share"]] = [lesion, 1000 - lesion, lesion / 1000]
    scores = add_scores(scores)
    return scores.assign(kind=classify(scores))


def test_the_mask_says_what_a_lesion_image_is_whatever_its_class() -> None:
    found = figures.summarise(contradicting(), TEST)
    lesion, benign = found["after"]["lesion"], found["after"]["benign"]
    # Nothing was found: no lesion image has a Dice, and the benign one without a lesion has a full one.
    assert (lesion["images"], lesion["mean per image"]["dice"]["value"]) == (6, 0)
    assert (benign["images"], benign["mean per image"]["dice"]["value"]) == (3, pytest.approx(1 / 3, abs=1e-4))
    assert found["after"]["all"]["normals left clean"]["images"] == 3
    assert sum(found["after"][f"{size} lesion"]["images"] for size in ("small", "medium", "large")) == 6
    assert found["error kinds"]["after"]["missed"] == 6
    assert figures.headline(found)["lesion_dice"] == 0
    assert figures.headline(found)["normals_clean"] == 1


def test_what_is_shown_is_rounded_once() -> None:
    scores = table(12, "noise").assign(dice=0.74646)
    assert figures.headline(figures.summarise(scores, TEST))["lesion_dice"] == 0.746


def test_what_class_and_mask_say_otherwise_is_counted() -> None:
    found = figures.summarise(contradicting(), TEST)["class against mask"]
    assert found == {"lesion class, no lesion": 1, "normal, lesion": 1}
    assert set(figures.summarise(table(9, "noise"), TEST)["class against mask"].values()) == {0}


def test_detection_goes_by_the_mask() -> None:
    scores = contradicting()
    scores["peak"] = (scores["fn"] > 0).astype(float)
    assert figures.summarise(scores, TEST)["detection"]["auc"] == 1


def test_a_single_false_pixel_is_not_clean_however_large_the_image() -> None:
    scores = table(3, "nothing")
    scores.loc[scores["class"] == "normal", ["fp", "tn"]] = [1, 2_500_000]
    assert figures.summarise(scores, TEST)["after"]["all"]["normals left clean"]["value"] == 0


def test_figures_of_twenty_thousand_images_take_seconds() -> None:
    scores = table(20_000, "noise").assign(kind="good")
    scores["dice"] = np.random.default_rng(0).random(len(scores))
    started = time.perf_counter()
    figures.summarise(scores, PairedTest(draws=2000, confidence=0.95, seed=0))
    assert time.perf_counter() - started < 20


def test_terciles_share_out_the_lesion_images() -> None:
    found = figures.summarise(table(27, "noise"), TEST)["after"]
    sizes = [found[name]["images"] for name in ("small lesion", "medium lesion", "large lesion")]
    assert sizes == [6, 6, 6]
    assert found["lesion, marks"]["images"] + found["lesion, no marks"]["images"] == 18


def test_the_difference_is_paired_and_kinds_are_counted() -> None:
    scores = table(12, "noise")
    better = scores["stage"] == "after"
    scores.loc[better, ["dice", "kind"]] = [1.0, "good"]
    found = figures.summarise(scores, TEST)
    before = scores.loc[~better, "dice"].mean()
    change = found["difference"]["all"]["dice"]
    assert change["value"] == pytest.approx(1 - before, abs=1e-4)
    # Six groups of two images, all of which gain.
    assert (change["p"], change["verdict"]) == (2 / 2**6, "more than noise")
    kinds = found["error kinds"]
    assert sum(kinds["before"].values()) == kinds["after"]["good"] == 12
    assert sum(kinds["mended"].values()) == 12 - kinds["before"]["good"]


def test_reliability_of_a_calibrated_model_has_no_error() -> None:
    levels = np.arange(256)
    inside, outside = levels * 1000, (255 - levels) * 1000
    bins, error = figures.reliability(inside, outside)
    assert error < 0.001
    assert bins["pixels"].sum() == 255 * 1000 * 256
    assert figures.reliability(outside, inside)[1] > 0.4


def test_precision_and_recall_follow_from_the_levels() -> None:
    inside, outside = np.zeros(256, int), np.zeros(256, int)
    inside[[100, 200]], outside[[50, 100]] = 10, 30
    found = figures.precision_recall(inside, outside).set_index("threshold")
    assert list(found.loc[round(200 / 255, DIGITS)]) == [0.5, 1.0]
    assert list(found.loc[round(100 / 255, DIGITS)]) == [1.0, 0.4]


def test_the_distribution_of_dice_counts_every_image() -> None:
    scores = pd.DataFrame({"class": ["benign", "benign", "normal"], "dice": [0.0, 1.0, 0.95]})
    found = figures.dice_distribution(scores)
    assert found["images"].sum() == 3
    assert set(found["dice_from"]) == {0.0, 0.9}


def test_the_surest_masks_are_better_where_what_is_expected_tells_something() -> None:
    scores = table(12, "noise")
    scores["expected_dice"] = scores["dice"] / 2
    found = figures.expected_dice(scores[scores["stage"] == "after"])
    assert found["rank correlation"] == pytest.approx(1)
    surest = list(found["Dice of the surest"].values())
    assert surest == sorted(surest, reverse=True)
    assert surest[-1] == pytest.approx(scores["dice"].mean(), abs=1e-4)


def test_a_lesion_met_with_a_dice_below_a_tenth_is_lost() -> None:
    found = figures.stratum(table(12, "nothing"), TEST.confidence)
    assert found["lesions lost"]["value"] == 1
    assert found["lesions lost"]["images"] == 16
    assert figures.stratum(table(12, "everything"), TEST.confidence)["lesions lost"]["value"] == 0
    assert "lesions lost" not in figures.stratum(table(3, "nothing", ("normal",)), TEST.confidence)


def test_other_scanners_are_told_before_and_after_and_by_what_they_differ() -> None:
    counts = table(12, "nothing").assign(fold=0)
    after = counts["stage"] == "after"
    counts.loc[after, ["tp", "fn"]] = counts.loc[after, ["fn", "tp"]].to_numpy()
    found = figures.before_and_after(add_scores(counts), TEST)
    assert found["before"] == {"dice": round(1 / 3, DIGITS), "lesion_dice": 0, "lost": 1, "normals_clean": 1}
    assert found["after"] == {"dice": 1, "lesion_dice": 1, "lost": 0, "normals_clean": 1}
    assert found["difference"]["lesion"]["value"] == 1
    assert found["difference"]["all"]["verdict"] == "more than noise"
