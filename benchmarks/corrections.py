"""What it brings to train a network on a few corrected images of a source that it never saw.

    uv run python benchmarks/corrections.py models/fold-2.keras busi corrections

Takes params.yaml, data/raw, data/prepared, data/folds.csv and data/groups.csv of a run with `split.by: source`, the
network that was not trained on one of its sources, and the name of that source. The groups of the source are halved.
From one half images are drawn, as many as SIZES say: in the order of the page, low predicted Dice first, and at random.
Their true masks stand in for those of a person. The network is trained on them alone, by the code of the stage `train`,
and scored on the other half, on native grids and without post-processing. The learning rate is chosen before, on images
of the first half.

Each network is scored once: what FOLDER holds is not computed again. Prints a table and draws FOLDER/curve.svg after
each, so that it may be stopped at any time; docs/explanation/corrections.md shows those that were run.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.predictions import Prediction
from breast_ultrasound.answers.rows import score, tabulate
from breast_ultrasound.cases.folds import GROUPS, read_folds
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.cases.raw import RAW, read_cases, read_merged_mask
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.inference import Predict, predict
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.comparison import changes, pair
from breast_ultrasound.scoring.figures import summarise_masks
from breast_ultrasound.scoring.paired import PairedTest
from breast_ultrasound.training.batches import Batches
from breast_ultrasound.training.callbacks import Progress
from breast_ultrasound.training.checkpoint import CheckpointFile
from breast_ultrasound.training.fitting import FoldBatches, fit
from stages import train
from stages.split import divide

SIZES = (10, 30, 100)
DRAWS = 3
# The learning rates to choose from, and the number of images to choose on, drawn as no other draw is.
RATES = (0.0001, 0.0003, 0.001)
TUNING = "random 0"
TUNING_SIZE = 30
STEPS = 200
# Images of the other sources, which the network was trained on, that show what it forgets.
OTHERS = 150
PAGE = "page"
_BATCH = 16


class Params(train.Params):
    """What is read of params.yaml."""

    predict: Predict


@dataclass(frozen=True)
class Training:
    """A training on some images of a draw, from the network or from ImageNet's weights.

    `half_others` makes every second image one of the other sources.
    """

    draw: str
    images: int
    rate: float
    from_imagenet: bool = False
    half_others: bool = False

    @property
    def name(self) -> str:
        """Return the name of its files."""
        start = "ImageNet, " if self.from_imagenet else ""
        return f"{start}{self.draw}, {self.images}, rate {self.rate:g}{', half others' if self.half_others else ''}"


@dataclass(frozen=True)
class Study:
    """A network, the source that it was not trained on, and the folder of what is computed of both."""

    base: Path
    source: str
    folder: Path

    @cached_property
    def params(self) -> Params:
        """Return params.yaml."""
        return load(Params)

    @cached_property
    def hardware(self) -> device.Device:
        """Choose the hardware."""
        return device.configure_training(self.params.hardware, self.params.seed)

    @cached_property
    def prepared(self) -> Prepared:
        """Open the prepared images."""
        return Prepared.open(PREPARED)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return the images by their row in the prepared data, with what they are for: pool, test or others."""
        table = read_folds().merge(read_table(GROUPS)[["id", "marks"]], on="id", validate="one_to_one")
        own, used = table["source"] == self.source, table["fold"] >= 0
        half = divide(table.loc[own & used, "class"], table.loc[own & used, "group"], 2, self.params.seed)
        table.loc[own & used, "subset"] = np.where(half == 0, "pool", "test")
        others = np.random.default_rng(self.params.seed).choice(np.flatnonzero(~own & used), OTHERS, replace=False)
        table.loc[others, "subset"] = "others"
        return table

    def rows(self, subset: str) -> NDArray[np.int64]:
        """Return the rows of a subset."""
        return np.flatnonzero(self.table["subset"] == subset)

    def draw(self, order: str) -> NDArray[np.int64]:
        """Return the rows of the pool in an order: PAGE, low predicted Dice first, or one at random with its number."""
        pool = self.rows("pool")
        if order != PAGE:
            return np.random.default_rng([self.params.seed, int(order.split()[1])]).permutation(pool)
        doubt = self.scores(None).set_index("id")["predicted_dice"].loc[self.table["id"].iloc[pool]]
        return pool[np.argsort(doubt.to_numpy(), kind="stable")]

    def train(self, training: Training) -> keras.Model:
        """Train on the images of a draw, each as often as another, all in one epoch, so that no other is kept."""
        params = self.params
        batch, number = params.train.batch, STEPS * params.train.batch
        drawn, others = self.draw(training.draw)[: training.images], np.flatnonzero(self.table["source"] != self.source)
        rows = np.resize(drawn, number // 2 if training.half_others else number)
        if training.half_others:
            rows = np.concatenate([rows, np.random.default_rng(params.seed).choice(others, number // 2, replace=False)])
        start = None if training.from_imagenet else str(self.base)
        settings = params.model_copy(
            update={
                "network": params.network.model_copy(update={"weights": start}),
                "train": params.train.model_copy(update={"epochs": 1, "learning_rate": training.rate}),
            }
        )
        batches = Batches(self.prepared, rows, batch, params.seed)
        unfinished = CheckpointFile(self.folder / "checkpoint", training.name)
        return fit(settings, FoldBatches(batches, None), self.hardware, Progress(batches), unfinished)

    def scores(self, training: Training | None) -> pd.DataFrame:
        """Return the scores by the network of a training, or by the one to begin with, of the subsets that it needs."""
        name = training.name if training else "base"
        path = self.folder / f"{name}.csv"
        if not path.exists():
            print(f"{name}: {self.hardware.name}", flush=True)
            subsets = ("pool",) * (training is None or training.draw == TUNING)
            subsets += ("test", "others") * (training is None or training.draw != TUNING)
            with atomic_write(path) as aside:
                self._score(self._network(training), subsets).to_csv(aside, index=False, float_format="%.6f")
            keras.utils.clear_session()
        return read_table(path)

    def _network(self, training: Training | None) -> keras.Model:
        """Return a network that computes in float32, as those of files do."""
        if training is None:
            return model_files.load(self.base)
        trained = self.folder / "trained.keras"
        model_files.save(self.train(training), trained)
        return model_files.load(trained)

    def _score(self, network: keras.Model, subsets: Sequence[str]) -> pd.DataFrame:
        rows = np.concatenate([self.rows(subset) for subset in subsets])
        scored, _ = tabulate(score(Postprocessing(), each) for each in self._predictions(network, rows))
        table = scored[scored["postprocessing"] == "after"]
        return table.merge(self.table[["id", "source", "group", "marks"]], on="id", validate="one_to_one")

    def _predictions(self, network: keras.Model, rows: NDArray[np.int64]) -> Iterator[Prediction]:
        cases = {case.id: case for case in read_cases(RAW)}
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            predicted = predict(network, self.prepared.read(batch)[0], self.params.predict.mirror)
            about = zip(batch, letterboxes(self.prepared.index.iloc[batch]), strict=True)
            for (row, box), probability, logits in zip(about, predicted.probability, predicted.logits, strict=True):
                case, subset = cases[self.table["id"][row]], self.table["subset"][row]
                truth = read_merged_mask(case, box.height, box.width)
                yield Prediction(case, subset, truth, box.to_native(probability), logits.astype(float))


def choose_rate(study: Study) -> float:
    """Return the learning rate with the highest mean Dice on images of the pool that it was not trained on."""
    tuned = study.table["id"].iloc[study.draw(TUNING)[:TUNING_SIZE]]

    def mean_dice(rate: float) -> float:
        scores = study.scores(Training(TUNING, TUNING_SIZE, rate))
        return scores.loc[(scores["subset"] == "pool") & ~scores["id"].isin(tuned), "dice"].mean()

    gained = {rate: mean_dice(rate) for rate in RATES}
    print("mean Dice of the pool by learning rate:", {rate: round(dice, 3) for rate, dice in gained.items()})
    return max(gained, key=lambda rate: gained[rate])


def trainings(rate: float, rate_from_imagenet: float) -> list[Training]:
    """Return the trainings, the most telling first."""
    page = [Training(PAGE, images, rate) for images in SIZES]
    first, *more = ([Training(f"random {draw}", images, rate) for images in SIZES] for draw in range(1, DRAWS + 1))
    mixed = [Training(PAGE, images, rate, half_others=True) for images in SIZES]
    mixed_draws = [Training(f"random {draw}", SIZES[0], rate, half_others=True) for draw in range(1, DRAWS + 1)]
    afresh = [Training("random 1", images, rate_from_imagenet, from_imagenet=True) for images in SIZES[::-1]]
    return [*page, *first, afresh[0], mixed[0], *chain.from_iterable(more), *mixed_draws, *mixed[1:], *afresh[1:]]


def table_row(name: str, scores: pd.DataFrame, base: pd.DataFrame) -> dict[str, str]:
    """Return the figures of a network on the test images, beside those of the network that it began with."""
    test = PairedTest(draws=2000, confidence=0.95, seed=0)
    figures = summarise_masks(scores[scores["subset"] == "test"], test.confidence)["after"]
    parts = {
        "lesion Dice": figures["lesion"]["mean per image"]["dice"],
        "missed lesions": figures["lesion"]["missed lesions"],
        "normal images left empty": figures["all"]["specificity on normal images"],
        "Dice of all images": figures["all"]["mean per image"]["dice"],
    }
    row = {"network": name} | {of: "{value:.3f} ({low:.3f} to {high:.3f})".format(**part) for of, part in parts.items()}
    for change in changes(pair(base, scores, "test"), test):
        if change.name in ("lesion Dice", "Dice, all images"):
            row[f"gain, {change.name}"] = f"{change.difference.value:+.3f} (p {change.difference.p:.4f})"
    others = scores[scores["subset"] == "others"]
    return row | {"Dice of other sources": f"{others['dice'].mean():.3f}"}


def draw_curve(done: dict[Training, pd.DataFrame], base: pd.DataFrame, path: Path) -> None:
    """Draw the mean Dice of the test images by the number of images that were corrected."""

    def dice(scores: pd.DataFrame, of_lesions: bool) -> float:
        tested = scores[(scores["subset"] == "test") & ((scores["tp"] + scores["fn"] > 0) | (not of_lesions))]
        return tested["dice"].mean()

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (title, of_lesions) in zip(
        figure.subplots(1, 2), (("Images with a lesion", True), ("All images", False)), strict=True
    ):
        axes.axhline(dice(base, of_lesions), color="#555555", ls=":", label="not trained further")
        kinds: dict[str, tuple[str, str]] = {
            "lowest predicted Dice first": ("#d55e00", "o-"),
            "at random": ("#0072b2", "o"),
            "lowest predicted Dice first, half other sources": ("#cc79a7", "s--"),
            "at random, half other sources": ("#56b4e9", "D"),
            "at random, from ImageNet's weights": ("#009e73", "^-"),
        }
        for name, (colour, style) in kinds.items():
            points = sorted(
                (each.images, dice(scores, of_lesions)) for each, scores in done.items() if kind(each) == name
            )
            if points:
                axes.plot(*zip(*points, strict=True), style, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_xticks(SIZES, list(map(str, SIZES)))
        axes.minorticks_off()
        axes.set(title=title, xlabel="corrected images", ylabel="mean Dice")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)


def kind(training: Training) -> str:
    """Return the name of the line that a training is part of."""
    order = "lowest predicted Dice first" if training.draw == PAGE else "at random"
    if training.from_imagenet:
        return f"{order}, from ImageNet's weights"
    return f"{order}, half other sources" if training.half_others else order


def report(study: Study, every: Sequence[Training]) -> None:
    """Print the table of the trainings that are done, and draw their curve."""
    base = study.scores(None)
    done = {each: study.scores(each) for each in every if (study.folder / f"{each.name}.csv").exists()}
    rows = [table_row("base", base, base), *(table_row(each.name, scores, base) for each, scores in done.items())]
    print(pd.DataFrame(rows).to_markdown(index=False))
    draw_curve(done, base, study.folder / "curve.svg")


def main() -> None:
    """Train, score, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, help="the .keras file to begin with")
    parser.add_argument("source", help="the source that it was not trained on")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    study = Study(arguments.network, arguments.source, arguments.folder)
    every = trainings(choose_rate(study), study.params.train.learning_rate)
    for training in every:
        study.scores(training)
        report(study, every)


if __name__ == "__main__":
    main()
