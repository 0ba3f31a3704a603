"""Every figure of a run, from the scores of its images alone."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from breast_ultrasound.cases.classes import CLASSES, UNSPECIFIED
from breast_ultrasound.cases.folds import UNUSED
from breast_ultrasound.scoring.classification import classification
from breast_ultrasound.scoring.confidence import predicted_dice
from breast_ultrasound.scoring.error_kinds import KINDS
from breast_ultrasound.scoring.intervals import DIGITS, Interval, auc, auc_interval, mean_interval, score_interval
from breast_ultrasound.scoring.lesions import has_lesion, is_empty, is_missed
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.scores import SCORES, SCORING_RULES, add_scores

PER_IMAGE = Path("metrics/scores.csv")
FIGURES = Path("metrics/figures.json")

# The least value of each score without an upper end; the other scores lie between 0 and 1.
_OPEN_ENDED = {"hd95": 0.0, "assd": 0.0, "area_error": -1.0}


def summarise_run(scores: pd.DataFrame, shifted: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Return every figure of each subset, the headline of each fold's test, and every figure of each source's test.

    There are no figures by source where there is one alone. `shifted` holds the scores of images under domain shifts.
    """
    rows_of = {name: scores[scores["subset"] == name] for name in ("validation", "test")}
    figures: dict[str, Any] = {name: summarise(rows, test) for name, rows in rows_of.items() if len(rows)}
    folds, sources = (rows_of["test"].groupby(column) for column in ("fold", "source"))
    figures["test by fold"] = {f"fold-{fold}": headline(summarise(rows, test)) for fold, rows in folds}
    if len(sources) > 1:
        figures["test by source"] = {source: summarise(rows, test) for source, rows in sources}
    figures["under domain shift"] = {
        name: before_and_after(rows, test) for name, rows in shifted.groupby("domain_shift")
    }
    return figures | {"scoring rules": SCORING_RULES}


def strata(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Return which rows belong to each stratum; terciles divide lesion images by the lesion's share of the image."""
    lesion = has_lesion(scores)
    rows = {"lesion": lesion} | {cls: scores["class"] == cls for cls in CLASSES}
    rows |= {"class unspecified": scores["class"] == UNSPECIFIED, "all": lesion | True}
    size = scores["lesion_share"].where(lesion)
    low, high = size.quantile(1 / 3), size.quantile(2 / 3)
    rows |= {"small lesion": size <= low, "medium lesion": (size > low) & (size <= high), "large lesion": size > high}
    return rows | {
        "lesion, marks": lesion & (scores["marks"] == 1),
        "lesion, no marks": lesion & (scores["marks"] == 0),
    }


def summarise(scores: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Return all figures of one subset: its strata before and after post-processing, their difference, and the rest.

    A stratum without images is left out, and so is a figure without a single defined value.
    """
    before, after = (scores[scores["postprocessing"] == when].reset_index(drop=True) for when in ("before", "after"))
    figures: dict[str, Any] = {
        when: by_stratum(table, test.confidence) for when, table in (("before", before), ("after", after))
    }
    figures["difference"] = {
        name: difference(before[rows], after[rows], test) for name, rows in strata(after).items() if rows.any()
    }
    figures["error kinds"] = error_kinds(before["kind"], after["kind"])
    return figures | of_images(after, test.confidence)


def summarise_submission(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the figures of masks of any system, which this project did not post-process.

    They have the keys of `summarise_run`, less what only a run has: `validation`, `before`, and what compares with it.
    """
    folds, sources = scores[scores["fold"] != UNUSED].groupby("fold"), scores.groupby("source")
    figures = {
        "test": summarise_masks(scores, confidence),
        "test by fold": {f"fold-{fold}": headline(summarise_masks(rows, confidence)) for fold, rows in folds},
        "test by source": {source: summarise_masks(rows, confidence) for source, rows in sources},
    }
    return figures | {"scoring rules": SCORING_RULES}


def summarise_masks(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return all figures of some masks: their strata, the kinds of error, and the rest."""
    kinds = {"after": _count_kinds(scores["kind"])}
    return {"after": by_stratum(scores, confidence), "error kinds": kinds} | of_images(scores, confidence)


def by_stratum(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the figures of each stratum that has images."""
    return {name: stratum(scores[rows], confidence) for name, rows in strata(scores).items() if rows.any()}


def of_images(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the figures of images as a whole: their class, whether they hold a lesion, how sure their masks are."""
    detection, classes = detect(scores, confidence), classification(scores, confidence)
    figures: dict[str, Any] = {"class against mask": class_against_mask(scores)}
    if "predicted_dice" in scores:
        figures["predicted Dice"] = predicted_dice(scores)
    return figures | ({"detection": detection} if detection else {}) | ({"classes": classes} if classes else {})


def stratum(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the figures of some images: mean and median per image, and all pixels pooled.

    `missed lesions` is the share of the lesion images with a Dice below MISSED_DICE, `specificity on normal images`
    that of the images without a lesion whose predicted mask is empty.
    """
    counts = scores[["tp", "fp", "fn", "tn"]].sum().to_frame().T
    pooled = add_scores(counts).iloc[0][["dice", "iou", "sensitivity", "precision", "specificity"]]
    figures = {
        "images": len(scores),
        "groups": int(scores["group"].nunique()),
        "mean per image": {name: mean(name, scores, confidence) for name in SCORES if scores[name].notna().any()},
        "median per image": scores[list(SCORES)].median().dropna().round(DIGITS).to_dict(),
        "pooled over pixels": pooled.dropna().astype(float).round(DIGITS).to_dict(),
    }
    lesion = has_lesion(scores)
    for name, images, outcome in (
        ("missed lesions", scores[lesion], is_missed),
        ("specificity on normal images", scores[~lesion], is_empty),
    ):
        if len(images):
            share = images.assign(share=outcome(images).astype(float))
            figures[name] = {"images": len(images)} | mean("share", share, confidence)
    return figures


def mean(name: str, scores: pd.DataFrame, confidence: float) -> dict[str, float | None]:
    """Return the mean of a score over its defined values, its interval, and the number of undefined ones, left out.

    `low` and `high` are None where there are too few groups for an interval.
    """
    values, groups = scores[name].to_numpy(float), scores["group"].to_numpy()
    if name in _OPEN_ENDED:
        interval = mean_interval(values, groups, confidence, _OPEN_ENDED[name])
    else:
        interval = score_interval(values, groups, confidence)
    left_out = int(np.isnan(values).sum())
    return {"value": round(float(np.nanmean(values)), DIGITS), **_ends(interval), "left_out": left_out}


def difference(before: pd.DataFrame, after: pd.DataFrame, test: PairedTest) -> dict[str, dict[str, float | str]]:
    """Return the mean change of Dice and IoU by post-processing, image by image, with its interval, p and verdict."""
    groups = after["group"].to_numpy()
    changes = {name: test.mean((after[name] - before[name]).to_numpy(float), groups) for name in ("dice", "iou")}
    return {
        name: {
            part: round(value, DIGITS) if isinstance(value, float) else value for part, value in asdict(change).items()
        }
        for name, change in changes.items()
    }


def detect(scores: pd.DataFrame, confidence: float) -> dict[str, float | None]:
    """Return the area under the ROC curve of lesion images against the others by their highest probability.

    It is empty where all images have a lesion, or none, and where there are no probabilities.
    """
    lesion, peak, groups = has_lesion(scores).to_numpy(), scores["peak"].to_numpy(float), scores["group"].to_numpy()
    if lesion.all() or not lesion.any() or np.isnan(peak).any():
        return {}
    value = round(auc(peak, lesion), DIGITS)
    return {"auc": value, **_ends(auc_interval(peak, lesion, groups, confidence))}


def class_against_mask(scores: pd.DataFrame) -> dict[str, int]:
    """Count the images whose true mask contradicts their class."""
    lesion, normal = has_lesion(scores), scores["class"] == "normal"
    return {"lesion class, no lesion": int((~lesion & ~normal).sum()), "normal, lesion": int((lesion & normal).sum())}


def before_and_after(scores: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """Return the few figures that matter before and after post-processing, and the difference of Dice."""
    before, after = (
        scores[scores["postprocessing"] == when].sort_values(["fold", "id"], ignore_index=True)
        for when in ("before", "after")
    )
    strata = {name: rows for name, rows in (("lesion", has_lesion(after)), ("all", after["dice"] >= 0)) if rows.any()}
    return {
        "before": brief(before),
        "after": brief(after),
        "difference": {name: difference(before[rows], after[rows], test)["dice"] for name, rows in strata.items()},
    }


def brief(scores: pd.DataFrame) -> dict[str, float]:
    """Return mean Dice of all and of the lesion images, share of missed lesions and specificity on normal images."""
    lesion = has_lesion(scores)
    figures = {
        "dice": scores["dice"].mean(),
        "lesion_dice": scores["dice"][lesion].mean(),
        "missed": is_missed(scores)[lesion].mean(),
        "normal_specificity": is_empty(scores)[~lesion].mean(),
    }
    return {name: round(float(value), DIGITS) for name, value in figures.items() if not math.isnan(value)}


def error_kinds(before: pd.Series, after: pd.Series) -> dict[str, Any]:
    """Count the images of each kind before and after post-processing, and what it changed.

    `mended` counts those of a kind that became good, `made` those that were of another kind before, good included, and
    `spoiled` all that were good and are not any more.
    """
    return {
        "before": _count_kinds(before),
        "after": _count_kinds(after),
        "mended": {kind: int(((before == kind) & (after == "good")).sum()) for kind in KINDS[1:]},
        "made": {kind: int(((before != kind) & (after == kind)).sum()) for kind in KINDS[1:]},
        "spoiled": int(((before == "good") & (after != "good")).sum()),
    }


def headline(figures: dict[str, Any]) -> dict[str, float]:
    """Return the few figures of a subset that `dvc metrics` and `dvc exp show` print."""
    after = figures["after"]
    short: dict[str, float] = {}
    if "lesion" in after:
        short["lesion_dice"] = after["lesion"]["mean per image"]["dice"]["value"]
        short["missed"] = after["lesion"]["missed lesions"]["value"]
    if "specificity on normal images" in after["all"]:
        short["normal_specificity"] = after["all"]["specificity on normal images"]["value"]
    if "detection" in figures:
        short["auc"] = figures["detection"]["auc"]
    if "classes" in figures:
        short["accuracy"] = figures["classes"]["accuracy"]["value"]
    short["dice"] = after["all"]["mean per image"]["dice"]["value"]
    return {name: round(value, 3) for name, value in short.items()}


def _count_kinds(kinds: pd.Series) -> dict[str, int]:
    return {kind: int((kinds == kind).sum()) for kind in KINDS}


def _ends(interval: Interval) -> dict[str, float | None]:
    low, high = (None if math.isnan(end) else round(end, DIGITS) for end in interval)
    return {"low": low, "high": high}
