"""Charts of the report as SVG text that takes the colours of the page, the same bytes for the same figures."""

import io
import itertools
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from breast_ultrasound.scoring.error_kinds import KINDS
from breast_ultrasound.scoring.plots import PLOTS
from breast_ultrasound.training.history import read_curves

# Okabe & Ito (2008), distinct in every common form of colour blindness.
COLOURS = {
    "benign": "#56b4e9",
    "malignant": "#d55e00",
    "normal": "#009e73",
    "lesion": "#cc79a7",
    "train": "#e69f00",
    "validation": "#0072b2",
}
# A placeholder for the colour of text, which the page fills in.
_INK = "#010203"


def draw_charts(folds: Sequence[int]) -> list[str]:
    """Draw the charts of a run of `folds` from its tables below metrics/."""
    charts = (dice_distribution, dice_by_size, precision_recall, reliability, error_kinds)
    histories = [read_curves(fold, "lesion_dice") for fold in folds]
    return [curves(histories), *(chart(pd.read_csv(PLOTS / f"{chart.__name__}.csv")) for chart in charts)]


def curves(histories: Sequence[pd.DataFrame]) -> str:
    """Draw lesion Dice by epoch, from tables with the columns `train` and, if any, `validation`, one a fold."""
    figure, axes = _draw("Lesion Dice while training", "epoch", "Dice")
    for number, history in enumerate(histories):
        for name in history.columns:
            axes.plot(history.index + 1, history[name], color=COLOURS[name], lw=1, label=None if number else name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure)
    return _svg(figure)


def precision_recall(table: pd.DataFrame) -> str:
    """Draw precision against recall of all test pixels."""
    figure, axes = _draw("Precision and recall, all pixels", "recall", "precision")
    axes.plot(table["recall"], table["precision"], color=COLOURS["validation"])
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return _svg(figure)


def reliability(table: pd.DataFrame) -> str:
    """Draw the share of lesion pixels against the predicted probability."""
    figure, axes = _draw("Reliability, all pixels", "predicted probability", "share of lesion")
    axes.plot([0, 1], [0, 1], color=_INK, lw=0.8, ls=":")
    axes.plot(table["probability"], table["lesion_share"], "o-", color=COLOURS["validation"])
    return _svg(figure)


def dice_by_size(table: pd.DataFrame) -> str:
    """Draw the Dice of each lesion image against the share of the image that the lesion covers."""
    figure, axes = _draw("Dice by size of lesion", "lesion, % of image", "Dice")
    for cls, images in table.groupby("class"):
        # As pixels: the shapes of many images would outweigh the page.
        points = {"s": 12, "color": COLOURS[str(cls)], "label": str(cls), "rasterized": True}
        axes.scatter(100 * images["lesion_share"], images["dice"], **points)
    if (table["lesion_share"] > 0).any():
        axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    _legend(figure)
    return _svg(figure)


def dice_distribution(table: pd.DataFrame) -> str:
    """Draw how many images of each class have a Dice in each tenth."""
    figure, axes = _draw("Distribution of Dice", "Dice", "images")
    bottom = np.zeros(10)
    for cls, images in table.groupby("class"):
        height = np.zeros(10)
        height[(10 * images["dice_from"]).round().astype(int)] = images["images"]
        axes.bar(np.arange(10) / 10 + 0.05, height, 0.09, bottom=bottom, color=COLOURS[str(cls)], label=str(cls))
        bottom += height
    _legend(figure)
    return _svg(figure)


def error_kinds(table: pd.DataFrame) -> str:
    """Draw the number of images by kind of error before post-processing, in rows, and after it, in columns."""
    counts = pd.crosstab(table["before"], table["after"]).reindex(index=list(KINDS), columns=list(KINDS), fill_value=0)
    figure, axes = _draw("Kinds of error", "after post-processing", "before")
    axes.imshow(np.log1p(counts), cmap="Blues", alpha=0.6)
    axes.set_xticks(range(len(KINDS)), KINDS, rotation=45, ha="right")
    axes.set_yticks(range(len(KINDS)), KINDS)
    for row, column in itertools.product(range(len(KINDS)), repeat=2):
        if counts.iat[row, column]:
            axes.text(column, row, str(counts.iat[row, column]), ha="center", va="center", color=_INK)
    return _svg(figure)


def _draw(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.patch.set_alpha(0)
    axes.tick_params(colors=_INK)
    for part in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.spines.values()):
        part.set_color(_INK)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # A page holds several charts, whose ids differ by the salt.
    with mpl.rc_context({"svg.hashsalt": figure.axes[0].get_title(), "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    # But groups are numbered from 1 in each.
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def _legend(figure: Figure) -> None:
    """Name the colours below the axes, where they cover no point."""
    figure.legend(loc="outside lower center", ncols=3, frameon=False, labelcolor=_INK)
