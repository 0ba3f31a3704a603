"""Simulate how often the fit of post-processing takes a step where none helps, and a gate where one does.

    uv run python benchmarks/fitting_false_steps.py

Draws 300 sets of validation images a row and prints two Markdown tables, in some minutes on one core. Each value of
each step changes the utility of some images by noise, the same for near-duplicates and similar for the values of one
step, and gains nothing on average. In the second table the image-level probability does help: it has the given area
under the ROC curve, and more than half of the normal images have a mask before. Beside the rule of the pipeline stands
the one before it, which searched step after step and tested the best value of each as if it were the only one tried.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from breast_ultrasound.answers.fitting import Score, fit_steps, utility
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.paired import MORE_THAN_NOISE, PairedTest

Candidates = Mapping[str, Sequence[Any]]
Fit = Callable[[Score, NDArray[np.int64]], Steps]

TEST = PairedTest(draws=2000, confidence=0.95, seed=0)

# Images a group, and the shares of normal images and of lesions without a mask, as on BUSI.
GROUP_SIZES = (1, 1, 1, 2, 3, 6)
NORMAL, MISSED, FALSE_POSITIVE = 0.17, 0.1, 0.55
MISSED_LESION = 1.0

# Images of one fold of BUSI, and of four.
IMAGES = 150, 600

# A value changes this share of the groups by noise of this standard deviation, of whose variance a share is common to
# the values of its step. On BUSI values changed 1 to 45 of 100 images, by 0.03 to 0.15 (root mean square over all
# images), and neighbouring values correlated by 0.6 to 0.9.
CHANGED, NOISE, ALIKE = 0.3, 0.15, 0.8

# The values that the rule before this one tried.
EARLIER: Candidates = {
    "smooth": (0, 0.005, 0.01, 0.02),
    "threshold": (0.5, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8),
    "relative": (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "peak": (0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95),
    "opening": (0, 0.005, 0.01, 0.02),
    "closing": (0, 0.005, 0.01, 0.02),
    "fill_holes": (False, True),
    "part_area": (0, 0.001, 0.002, 0.005, 0.01),
    "largest_only": (False, True),
    "evidence": (0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    "image_probability": (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
}


def fit_as_before(score: Score, groups: NDArray[np.int64]) -> Steps:
    """Return the steps of the rule before this one: two rounds, each step tested for itself."""
    best = Steps()
    for _round in range(2):
        before = best
        for name, values in EARLIER.items():
            others = [replace(best, **{name: value}) for value in values if value != getattr(best, name)]
            first = max(others, key=lambda steps: score(steps).mean())
            gain = TEST.mean(score(first) - score(best), groups)
            if gain.value > 0 and gain.verdict == MORE_THAN_NOISE:
                best = first
        if best == before:
            break
    return best


@dataclass(frozen=True)
class Gate:
    """Images [n] as a gate sees them: the image-level probability, and the utility with the mask and without."""

    probability: NDArray[np.float64]
    full: NDArray[np.float64]
    empty: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, images: int, auc: float) -> "Gate":
        """Draw so many images, whose probability tells lesions from normal images with this area."""
        lesion = rng.random(images) >= NORMAL
        masked = rng.random(images) < np.where(lesion, 1 - MISSED, FALSE_POSITIVE)
        dice = np.where(lesion, masked * rng.beta(8, 1.65, images), ~masked)
        # Logits of equal spread whose means differ as the area says; half of the normal images are below 0.5.
        logits = 2 * rng.normal(np.sqrt(2) * norm.ppf(auc) * lesion)
        worth = partial(utility, lesion=lesion, missed_lesion=MISSED_LESION)
        return cls(expit(logits), worth(dice), worth((~lesion).astype(float)))

    def utility(self, image_probability: float) -> NDArray[np.float64]:
        """Return the utility [n] where masks below this image-level probability are emptied."""
        return np.where(self.probability < image_probability, self.empty, self.full)


class Noise:
    """Changes of the utility of images by values of steps, none of which helps."""

    def __init__(self, rng: np.random.Generator, groups: NDArray[np.int64]) -> None:
        """Draw as many changes as are asked for later, one after the other."""
        self._rng, self._groups = rng, groups
        self._changes: dict[tuple[str, Any], NDArray[np.float64]] = {}

    def change(self, name: str, value: Any) -> NDArray[np.float64]:
        """Return the change of each image [n] by a value of a step, 0 for the value that is off."""
        if value == getattr(Steps(), name):
            return np.zeros(len(self._groups))
        return NOISE * (np.sqrt(ALIKE) * self._draw(name, None) + np.sqrt(1 - ALIKE) * self._draw(name, value))

    def _draw(self, name: str, value: Any) -> NDArray[np.float64]:
        if (name, value) not in self._changes:
            number = self._groups.max() + 1
            change = self._rng.normal(size=number) * (self._rng.random(number) < CHANGED)
            self._changes[name, value] = change[self._groups]
        return self._changes[name, value]


def draw_groups(rng: np.random.Generator, images: int) -> NDArray[np.int64]:
    """Return the group of each of so many images, [n]."""
    sizes = rng.choice(GROUP_SIZES, images)
    return np.repeat(np.arange(images), sizes)[:images]


def simulate(fit: Fit, images: int, auc: float | None, seed: int) -> Steps:
    """Fit to one set of images; without an area nothing helps."""
    rng = np.random.default_rng(seed)
    groups = draw_groups(rng, images)
    noise, gate = Noise(rng, groups), Gate.draw(rng, images, auc or 0.5)

    def score(steps: Steps) -> NDArray[np.float64]:
        gated = [] if auc is None else ["image_probability"]
        changes = [noise.change(name, value) for name, value in vars(steps).items() if name not in gated]
        return sum(changes, gate.utility(steps.image_probability if gated else 0.0))

    return fit(score, groups)


def table(title: str, columns: str, rows: Iterator[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n\n| {columns} |\n|{' --- |' * (columns.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def false_steps(rules: Mapping[str, Fit], repetitions: int) -> Iterator[Sequence[str]]:
    """Yield how many fits of each rule take any step where none helps."""
    for images in IMAGES:
        taken = [
            [simulate(fit, images, None, seed) != Steps() for seed in range(repetitions)] for fit in rules.values()
        ]
        yield str(images), *(f"{np.mean(each):.0%}" for each in taken)


def gains(rules: Mapping[str, Fit], repetitions: int) -> Iterator[Sequence[str]]:
    """Yield how often each rule takes a gate that helps, and which share of the best one's gain it has on average."""
    for images, auc in product(IMAGES, (0.9, 0.945, 0.98)):
        many = Gate.draw(np.random.default_rng(1), 200_000, auc)
        gain = {value: (many.utility(value) - many.full).mean() for value in EARLIER["image_probability"]}
        best, cells = max(gain.values()), []
        for fit in rules.values():
            chosen = [simulate(fit, images, auc, seed).image_probability for seed in range(repetitions)]
            share = np.mean([gain[value] for value in chosen]) / best
            cells += [f"{np.mean(np.array(chosen) > 0):.0%}", f"{share:.0%}"]
        yield str(images), str(auc), f"{best:.4f}", *cells


def main(repetitions: int = 300) -> None:
    """Measure everything."""
    candidates = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["postprocess"]

    rules = {"before": fit_as_before, "now": partial(fit_steps, candidates, test=TEST)}
    table("Nothing helps: % of fits that take a step", f"images | {' | '.join(rules)}", false_steps(rules, repetitions))
    columns = " | ".join(f"{rule}: taken | {rule}: of the gain" for rule in rules)
    table("A gate helps", f"images | area | best gain | {columns}", gains(rules, repetitions))


if __name__ == "__main__":
    main()
