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
from breast_ultrasound.scoring.scores import SCORING_RULES, add_scores

TEST = PairedTest(draws=200, confidence=0.95, seed=0)


def table(images: int, fill: str, classes: tuple[str, ...] = ("benign", "malignant", "normal")) -> pd.DataFrame:
    """Return scores of a model that predicts nothing, everything or noise, which post-processing does not change."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in range(images):
        cls = classes[number % len(classes)]
        lesion = 0 if cls == "normal" else 200
        share = {"nothing": 0.0, "everything": 1.0}.get(fill, rng.random())
        tp, fp = round(lesion * share), round((1000 - lesion) * share)
        row = {"id": f"{cls} ({number})", "class": cls, "source": "", "group": number // 2, "marks": number % 2}
        row |= {"lesion_share": (lesion + number) / 1000 if lesion else 0, "predicted_share": (tp + fp) / 1000}
        row |= {
            "tp": tp,
            "fp": fp,
            "fn": lesion - tp,
            "tn": 1000 - lesion - fp,
            "peak": share,
            "fragments": 0.0,
            "predicted_dice": share,
        }
        distance = 3.0 if lesion and share else math.nan
        rows += [row | {"postprocessing": when, "hd95": distance, "assd": distance} for when in ("before", "after")]
    scores = add_scores(pd.DataFrame(rows))
    return scores.assign(kind=classify(scores))


@pytest.mark.parametrize("fill", ["nothing", "everything", "noise"])
@pytest.mark.parametrize("images", [1, 2, 12])
@pytest.mark.parametrize("classes", [("benign",), ("normal",), ("benign", "malignant", "normal")])
def test_any_model_on_any_images_gives_figures_without_nan(fill: str, images: int, classes: tuple[str, ...]) -> None:
    summary = figures.summarise(table(images, fill, classes), TEST)
    json.dumps(summary, allow_nan=False)
    figures.headline(summary)
    assert summary["after"]["all"]["images"] == images


def test_means_and_pooled_figures_are_both_there_and_differ() -> None:
    counts = {"tp": [90, 0], "fp": [0, 10], "fn": [0, 10], "tn": [10, 80]}
    scores = add_scores(
        pd.DataFrame({"class": "benign", "group": [0, 1], "hd95": 1.0, "assd": 1.0, "predicted_share": 0.1, **counts})
    )
    summary = figures.stratum(scores, TEST.confidence)
    assert summary["mean per image"]["dice"]["value"] == 0.5
    assert summary["pooled over pixels"]["dice"] == pytest.approx(0.9)


def test_images_left_out_of_a_mean_are_counted() -> None:
    summary = figures.summarise(table(12, "nothing"), TEST)
    assert "precision" not in summary["after"]["lesion"]["mean per image"]
    assert summary["after"]["all"]["mean per image"]["sensitivity"]["left_out"] == 4
    assert summary["after"]["all"]["specificity on normal images"]["value"] == 1


def test_where_all_normal_images_have_an_empty_mask_the_interval_keeps_its_width() -> None:
    scores = table(12, "nothing").assign(group=lambda rows: rows["id"].factorize()[0])
    summary = figures.summarise(scores, TEST)["after"]
    for figure in (summary["all"]["specificity on normal images"], summary["normal"]["mean per image"]["dice"]):
        assert (figure["value"], figure["low"], figure["high"]) == (1, pytest.approx(0.398, abs=0.001), 1)


def test_a_distance_in_a_single_group_has_no_interval() -> None:
    summary = figures.summarise(table(1, "everything"), TEST)["after"]["all"]["mean per image"]
    assert (summary["hd95"]["value"], summary["hd95"]["low"], summary["hd95"]["high"]) == (3, None, None)
    assert summary["dice"]["low"] is not None


def contradicting() -> pd.DataFrame:
    """Return scores of empty predictions for nine images: one benign true mask is empty, one normal is not."""
    scores = table(9, "nothing")
    for image, lesion in (("benign (0)", 0), ("normal (2)", 100)):
        rows = scores["id"] == image
        scores.loc[rows, ["fn", "tn", "lesion_share"]] = [lesion, 1000 - lesion, lesion / 1000]
    scores = add_scores(scores)
    return scores.assign(kind=classify(scores))


def test_the_true_mask_makes_a_lesion_image_whatever_its_class() -> None:
    summary = figures.summarise(contradicting(), TEST)
    lesion, benign = summary["after"]["lesion"], summary["after"]["benign"]
    # All predictions are empty: lesion images have Dice 0, and the benign one without a lesion has Dice 1.
    assert (lesion["images"], lesion["mean per image"]["dice"]["value"]) == (6, 0)
    assert (benign["images"], benign["mean per image"]["dice"]["value"]) == (3, pytest.approx(1 / 3, abs=1e-4))
    assert summary["after"]["all"]["specificity on normal images"]["images"] == 3
    assert sum(summary["after"][f"{size} lesion"]["images"] for size in ("small", "medium", "large")) == 6
    assert summary["error kinds"]["after"]["false negative"] == 6
    assert figures.headline(summary)["lesion_dice"] == 0
    assert figures.headline(summary)["normal_specificity"] == 1


def test_the_headline_is_rounded_once() -> None:
    scores = table(12, "noise").assign(dice=0.74646)
    assert figures.headline(figures.summarise(scores, TEST))["lesion_dice"] == 0.746


def test_contradictions_of_class_and_mask_are_counted() -> None:
    summary = figures.summarise(contradicting(), TEST)["class against mask"]
    assert summary == {"lesion class, no lesion": 1, "normal, lesion": 1}
    assert set(figures.summarise(table(9, "noise"), TEST)["class against mask"].values()) == {0}


def test_detection_goes_by_the_mask() -> None:
    scores = contradicting()
    scores["peak"] = (scores["fn"] > 0).astype(float)
    assert figures.summarise(scores, TEST)["detection"]["auc"] == 1


def test_a_single_false_pixel_is_a_false_positive_however_large_the_image() -> None:
    scores = table(3, "nothing")
    scores.loc[scores["class"] == "normal", ["fp", "tn"]] = [1, 2_500_000]
    assert figures.summarise(scores, TEST)["after"]["all"]["specificity on normal images"]["value"] == 0


def test_figures_of_twenty_thousand_images_take_seconds() -> None:
    scores = table(20_000, "noise").assign(kind="good")
    scores["dice"] = np.random.default_rng(0).random(len(scores))
    started = time.perf_counter()
    figures.summarise(scores, PairedTest(draws=2000, confidence=0.95, seed=0))
    assert time.perf_counter() - started < 20


def test_terciles_share_out_the_lesion_images() -> None:
    summary = figures.summarise(table(27, "noise"), TEST)["after"]
    sizes = [summary[name]["images"] for name in ("small lesion", "medium lesion", "large lesion")]
    assert sizes == [6, 6, 6]
    assert summary["lesion, marks"]["images"] + summary["lesion, no marks"]["images"] == 18


def test_the_difference_is_paired_and_kinds_are_counted() -> None:
    scores = table(12, "noise")
    better = scores["postprocessing"] == "after"
    scores.loc[better, ["dice", "kind"]] = [1.0, "good"]
    summary = figures.summarise(scores, TEST)
    before = scores.loc[~better, "dice"].mean()
    change = summary["difference"]["all"]["dice"]
    assert change["value"] == pytest.approx(1 - before, abs=1e-4)
    # Six groups of two images, all of which gain.
    assert (change["p"], change["verdict"]) == (2 / 2**6, "more than noise")
    kinds = summary["error kinds"]
    assert sum(kinds["before"].values()) == kinds["after"]["good"] == 12
    assert sum(kinds["mended"].values()) == 12 - kinds["before"]["good"]


def test_a_lesion_with_a_dice_below_a_tenth_is_missed() -> None:
    summary = figures.stratum(table(12, "nothing"), TEST.confidence)
    assert summary["missed lesions"]["value"] == 1
    assert summary["missed lesions"]["images"] == 16
    assert figures.stratum(table(12, "everything"), TEST.confidence)["missed lesions"]["value"] == 0
    assert "missed lesions" not in figures.stratum(table(3, "nothing", ("normal",)), TEST.confidence)


def test_a_domain_shift_has_figures_before_and_after_and_their_difference() -> None:
    counts = table(12, "nothing").assign(fold=0)
    after = counts["postprocessing"] == "after"
    counts.loc[after, ["tp", "fn"]] = counts.loc[after, ["fn", "tp"]].to_numpy()
    summary = figures.before_and_after(add_scores(counts), TEST)
    assert summary["before"] == {"dice": round(1 / 3, DIGITS), "lesion_dice": 0, "missed": 1, "normal_specificity": 1}
    assert summary["after"] == {"dice": 1, "lesion_dice": 1, "missed": 0, "normal_specificity": 1}
    assert summary["difference"]["lesion"]["value"] == 1
    assert summary["difference"]["all"]["verdict"] == "more than noise"


def test_a_run_has_the_figures_of_its_subsets_folds_and_shifts_and_the_version_of_its_rules() -> None:
    validation, test = (
        table(6, "noise").assign(subset="validation", fold=0),
        table(6, "noise").assign(subset="test", fold=1),
    )
    run = figures.summarise_run(pd.concat([validation, test]), validation.assign(domain_shift="blur"), TEST)
    assert run["validation"]["after"] == figures.summarise(validation, TEST)["after"]
    assert run["test by fold"] == {"fold-1": figures.headline(run["test"])}
    assert list(run["under domain shift"]) == ["blur"]
    assert "test by source" not in run
    assert run["scoring rules"] == SCORING_RULES


def test_a_run_of_several_sources_has_every_figure_of_each_and_one_without_validation_has_none_of_it() -> None:
    tested = table(12, "noise").assign(subset="test", fold=0)
    tested["source"] = np.where(tested["group"] < 3, "busi", "own")
    run = figures.summarise_run(tested, tested.assign(domain_shift="blur"), TEST)
    assert "validation" not in run
    assert run["test by source"] == {name: figures.summarise(rows, TEST) for name, rows in tested.groupby("source")}
    assert sum(by_source["after"]["all"]["images"] for by_source in run["test by source"].values()) == 12
