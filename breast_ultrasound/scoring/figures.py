"""Figures and tables for plots, from the per-image scores alone."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from breast_ultrasound.cases.classes import CLASSES, UNTOLD
from breast_ultrasound.scoring.classification import classification, of_surest
from breast_ultrasound.scoring.error_kinds import KINDS
from breast_ultrasound.scoring.intervals import DIGITS, Interval, auc, auc_interval, mean_interval, rank, score_interval
from breast_ultrasound.scoring.lesions import has_lesion, is_clean, is_lost
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.scoring.scores import SCORES, add_scores

PER_IMAGE = Path("metrics/scores.csv")
FIGURES = Path("metrics/figures.json")
PLOTS = Path("metrics/plots")

# The least that each score without an upper end can be; the others lie between 0 and 1.
_OPEN_ENDED = {"hd95": 0.0, "assd": 0.0, "area_error": -1.0}


def strata(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Which rows belong to each stratum; terciles are of the lesion's share of the image, among these lesion images."""
    lesion = has_lesion(scores)
    chosen = {"lesion": lesion} | {cls: scores["class"] == cls for cls in CLASSES}
    chosen |= {"class not told": scores["class"] == UNTOLD, "all": lesion | True}
    size = scores["lesion_share"].where(lesion)
    low, high = size.quantile(1 / 3), size.quantile(2 / 3)
    chosen |= {"small lesion": size <= low, "medium lesion": (size > low) & (size <= high), "large lesion": size > high}
    return chosen | {
        "lesion, marks": lesion & (scores["marks"] == 1),
        "lesion, no marks": lesion & (scores["marks"] == 0),
    }


def summarise(scores: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """All figures of one subset: the strata before and after post-processing, their difference, AUC and error kinds.

    A stratum without images is left out, and so is a figure without a single defined value.
    """
    before, after = (scores[scores["stage"] == stage].reset_index(drop=True) for stage in ("before", "after"))
    detection = detect(after, test.confidence)
    figures: dict[str, Any] = {
        stage: {name: stratum(table[rows], test.confidence) for name, rows in strata(table).items() if rows.any()}
        for stage, table in (("before", before), ("after", after))
    }
    figures["difference"] = {
        name: difference(before[rows], after[rows], test) for name, rows in strata(after).items() if rows.any()
    }
    figures["error kinds"] = error_kinds(before["kind"], after["kind"])
    figures["class against mask"] = class_against_mask(after)
    figures["expected Dice"] = expected_dice(after)
    classes = classification(after, test.confidence)
    return figures | ({"detection": detection} if detection else {}) | ({"classes": classes} if classes else {})


def stratum(scores: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Figures of some images: mean and median per image, and pooled, all pixels taken together.

    `lesions lost` is the share of the lesion images with a Dice below LOST, `normals left clean` that of the images
    without a lesion whose predicted mask is empty.
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
    if lesion.any():
        lost = scores[lesion].assign(lost=is_lost(scores).astype(float))
        figures["lesions lost"] = {"images": len(lost)} | mean("lost", lost, confidence)
    normals = scores[~lesion]
    if len(normals):
        clean = normals.assign(clean=is_clean(normals).astype(float))
        figures["normals left clean"] = {"images": len(normals)} | mean("clean", clean, confidence)
    return figures


def mean(name: str, scores: pd.DataFrame, confidence: float) -> dict[str, float | None]:
    """The mean of a score over its defined values, its interval, and the number of images left out as undefined.

    `low` and `high` are None where too few groups are left to tell.
    """
    values, groups = scores[name].to_numpy(float), scores["group"].to_numpy()
    if name in _OPEN_ENDED:
        interval = mean_interval(values, groups, confidence, _OPEN_ENDED[name])
    else:
        interval = score_interval(values, groups, confidence)
    left_out = int(np.isnan(values).sum())
    return {"value": round(float(np.nanmean(values)), DIGITS), **_ends(interval), "left_out": left_out}


def difference(before: pd.DataFrame, after: pd.DataFrame, test: PairedTest) -> dict[str, dict[str, float | str]]:
    """The mean change of Dice and IoU by post-processing, image by image, with its interval, p and verdict."""
    groups = after["group"].to_numpy()
    changes = {name: test.mean((after[name] - before[name]).to_numpy(float), groups) for name in ("dice", "iou")}
    return {
        name: {part: round(told, DIGITS) if isinstance(told, float) else told for part, told in asdict(change).items()}
        for name, change in changes.items()
    }


def detect(scores: pd.DataFrame, confidence: float) -> dict[str, float | None]:
    """How well the highest probability of an image tells those with a lesion; empty where all have one, or none."""
    lesion, peak, groups = has_lesion(scores).to_numpy(), scores["peak"].to_numpy(float), scores["group"].to_numpy()
    if lesion.all() or not lesion.any():
        return {}
    value = round(auc(peak, lesion), DIGITS)
    return {"auc": value, **_ends(auc_interval(peak, lesion, groups, confidence))}


def class_against_mask(scores: pd.DataFrame) -> dict[str, int]:
    """How many images are, by their mask, not what their class says."""
    lesion, normal = has_lesion(scores), scores["class"] == "normal"
    return {"lesion class, no lesion": int((~lesion & ~normal).sum()), "normal, lesion": int((lesion & normal).sum())}


def expected_dice(scores: pd.DataFrame) -> dict[str, Any]:
    """How well the Dice that was expected of each mask tells the one that it has.

    Their rank correlation (Spearman), left out where either is the same for all, and the mean Dice of the surest masks.
    """
    expected, reached = scores["expected_dice"].to_numpy(float), scores["dice"].to_numpy(float)
    figures: dict[str, Any] = {"mean": round(float(expected.mean()), DIGITS)}
    figures["Dice of the surest"] = of_surest(expected, reached)
    if len(np.unique(expected)) > 1 and len(np.unique(reached)) > 1:
        figures["rank correlation"] = round(float(np.corrcoef(rank(expected), rank(reached))[0, 1]), DIGITS)
    return figures


def before_and_after(counts: pd.DataFrame, test: PairedTest) -> dict[str, Any]:
    """The few figures that matter, before and after post-processing, and their difference, of rows with a Dice."""
    before, after = (
        counts[counts["stage"] == stage].sort_values(["fold", "id"], ignore_index=True) for stage in ("before", "after")
    )
    strata = {name: rows for name, rows in (("lesion", has_lesion(after)), ("all", after["dice"] >= 0)) if rows.any()}
    return {
        "before": brief(before),
        "after": brief(after),
        "difference": {name: difference(before[rows], after[rows], test)["dice"] for name, rows in strata.items()},
    }


def brief(scores: pd.DataFrame) -> dict[str, float]:
    """Mean Dice of all images and of the lesion images, share of lesions lost and of normal images left clean."""
    lesion = has_lesion(scores)
    found = {"dice": scores["dice"].mean(), "lesion_dice": scores["dice"][lesion].mean()}
    found |= {"lost": is_lost(scores)[lesion].mean(), "normals_clean": is_clean(scores)[~lesion].mean()}
    return {name: round(float(value), DIGITS) for name, value in found.items() if not math.isnan(value)}


def _ends(interval: Interval) -> dict[str, float | None]:
    low, high = (None if math.isnan(end) else round(end, DIGITS) for end in interval)
    return {"low": low, "high": high}


def error_kinds(before: pd.Series, after: pd.Series) -> dict[str, Any]:
    """How many images of each kind there are before and after, and what post-processing did.

    `mended` counts those of a kind that became good, `made` those that were of another kind before, good included, and
    `spoiled` all that were good and are not any more.
    """
    return {
        "before": {kind: int((before == kind).sum()) for kind in KINDS},
        "after": {kind: int((after == kind).sum()) for kind in KINDS},
        "mended": {kind: int(((before == kind) & (after == "good")).sum()) for kind in KINDS[1:]},
        "made": {kind: int(((before != kind) & (after == kind)).sum()) for kind in KINDS[1:]},
        "spoiled": int(((before == "good") & (after != "good")).sum()),
    }


def headline(figures: dict[str, Any]) -> dict[str, float]:
    """The few figures that `dvc metrics` and `dvc exp show` print."""
    after = figures["after"]
    short: dict[str, float] = {}
    if "lesion" in after:
        short["lesion_dice"] = after["lesion"]["mean per image"]["dice"]["value"]
        short["lost"] = after["lesion"]["lesions lost"]["value"]
    if "normals left clean" in after["all"]:
        short["normals_clean"] = after["all"]["normals left clean"]["value"]
    if "detection" in figures:
        short["auc"] = figures["detection"]["auc"]
    if "classes" in figures:
        short["accuracy"] = figures["classes"]["accuracy"]["value"]
    short["dice"] = after["all"]["mean per image"]["dice"]["value"]
    return {name: round(value, 3) for name, value in short.items()}


def precision_recall(inside: np.ndarray, outside: np.ndarray) -> pd.DataFrame:
    """Precision and recall of all pixels together at each threshold, from pixels of each level 0 to 255."""
    tp, fp = (np.cumsum(levels[::-1])[::-1] for levels in (inside, outside))
    table = pd.DataFrame({"threshold": np.arange(256) / 255, "tp": tp, "fp": fp})[1:]
    table = table[table["tp"] + table["fp"] > 0]
    recall, precision = table["tp"] / max(1, inside.sum()), table["tp"] / (table["tp"] + table["fp"])
    return table.assign(recall=recall, precision=precision)[["threshold", "recall", "precision"]].round(DIGITS)


def reliability(inside: np.ndarray, outside: np.ndarray, bins: int = 10) -> tuple[pd.DataFrame, float]:
    """Predicted probability against the share of lesion pixels, by bins, and the expected calibration error.

    The error is the mean gap between the two, weighed by pixels (Naeini et al., AAAI 2015).
    """
    levels = np.arange(256)
    bin_of = np.minimum(levels * bins // 255, bins - 1)
    pixels = np.bincount(bin_of, inside + outside, bins)
    lesion, probability = (
        np.bincount(bin_of, inside, bins),
        np.bincount(bin_of, (inside + outside) * levels / 255, bins),
    )
    table = pd.DataFrame({"pixels": pixels.astype(int), "probability": probability, "lesion_share": lesion})
    table = table[table["pixels"] > 0]
    table["probability"] /= table["pixels"]
    table["lesion_share"] /= table["pixels"]
    gap = (table["probability"] - table["lesion_share"]).abs()
    error = round(float((gap * table["pixels"]).sum() / table["pixels"].sum()), DIGITS)
    return table.round(DIGITS)[["probability", "lesion_share", "pixels"]], error


def dice_distribution(scores: pd.DataFrame) -> pd.DataFrame:
    """How many images of each class have a Dice in each tenth."""
    tenth = np.minimum((scores["dice"] * 10).astype(int), 9) / 10
    table = scores.groupby([scores["class"], tenth.rename("dice_from")]).size().rename("images")
    return table.reset_index()
