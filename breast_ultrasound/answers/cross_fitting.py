"""Fit the post-processing of every fold on held-out images: no network predicts what it was trained on.

None of these is an image on which the fold is tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import ALL, Postprocessing
from breast_ultrasound.answers.fitting import fit_dice_calibration, fit_steps, fit_temperature, utility
from breast_ultrasound.answers.held_out import HeldOut
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.cases.folds import fitting_subset, subsets
from breast_ultrasound.scoring.paired import PairedTest


@dataclass(frozen=True)
class StepSearch:
    """How steps are chosen: the values to try for each, the weight of a missed lesion, and the test of a gain."""

    candidates: Mapping[str, Sequence[Any]]
    missed_lesion: float
    test: PairedTest


@dataclass(frozen=True)
class Pool:
    """The held-out images of several networks, on which post-processing is fitted."""

    networks: Sequence[HeldOut]
    choice: StepSearch

    def fit(self, temperature: float) -> dict[str, Any]:
        """Return an entry of metrics/postprocess.json: a post-processing of this temperature, and its mean utility."""
        groups = np.concatenate([network.groups for network in self.networks])
        steps = fit_steps(self.choice.candidates, self.utilities, groups, self.choice.test)
        scored = [network.score(steps) for network in self.networks]
        dice, soft_dice = (np.concatenate([getattr(part, name) for part in scored]) for name in ("dice", "soft_dice"))
        before, after = (round(float(self.utilities(chosen).mean()), 4) for chosen in (Steps(), steps))
        return Postprocessing(steps, temperature, fit_dice_calibration(soft_dice, dice)).to_json() | {
            "fitted_images": len(dice),
            "fitted_before": before,
            "fitted_after": after,
        }

    def utilities(self, steps: Steps) -> NDArray[np.float64]:
        """Return the utility of the mask that these steps make of each image [n]."""
        return np.concatenate(
            [
                utility(network.score(steps).dice, network.lesions, self.choice.missed_lesion)
                for network in self.networks
            ]
        )


def fit_all(networks: Mapping[int, HeldOut], pools: Mapping[int, Sequence[int]], choice: StepSearch) -> dict[str, Any]:
    """Return the entries of metrics/postprocess.json: for the test images of each fold, and ALL for new images.

    `networks` are by the fold that each tests, and `pools` names those that each fold is fitted on, as
    `networks_to_fit_on` does; ALL is fitted on every one. Class logits are calibrated on the network's own images where
    its pool has them, since their scale is its own, else on those of the pool.
    """
    entries = {}
    for fold, pool in pools.items():
        members = [networks[other] for other in pool]
        temperature = networks[fold].temperature if fold in pool else pooled_temperature(members)
        entries[f"fold-{fold}"] = Pool(members, choice).fit(temperature)
    every = list(networks.values())
    return entries | {ALL: Pool(every, choice).fit(pooled_temperature(every))}


def pooled_temperature(networks: Sequence[HeldOut]) -> float:
    """Return the temperature that calibrates the class logits of several networks together."""
    logits, classes = (
        np.concatenate([getattr(network, name) for network in networks]) for name in ("logits", "classes")
    )
    return fit_temperature(logits, classes)


def networks_to_fit_on(run: Sequence[int], folds: pd.DataFrame) -> dict[int, list[int]]:
    """Return, for each fold that is run, the networks on whose images its post-processing is fitted.

    A network is named by the fold that it tests. Those are left out on whose images the fold would be tested. With
    validation by group, the network of a fold is validated on the next one:

        images of fold    0      1      2      3      4
        network 0        test   valid  train  train  train
        network 1        train  test   valid  train  train
        network 2        train  train  test   valid  train
        network 3        train  train  train  test   valid
        network 4        valid  train  train  train  test

    The test images of fold 2 are the validation images of network 1 alone. So the post-processing of fold 2 is fitted
    on the validation images of all networks but network 1: on folds 0, 1, 3 and 4, and not on fold 2. A fold that is
    run alone has only its own network to be fitted on. Without validation (cross-fitting), the images of a network are
    those that it tests:

        images of fold    0      1      2      3      4
        network 0        test   train  train  train  train
        network 1        train  test   train  train  train
        network 2        train  train  test   train  train
        network 3        train  train  train  test   train
        network 4        train  train  train  train  test

    So the post-processing of fold 2 is fitted on the test images of all networks but its own: again on folds 0, 1, 3
    and 4. Where every network is validated on a part of all other folds, its own alone remains.

    >>> folds = pd.DataFrame({"fold": [0, 1, 2, 3, 4], "validation": [4, 0, 1, 2, 3]})
    >>> networks_to_fit_on([0, 1, 2, 3, 4], folds)[2]
    [0, 2, 3, 4]
    >>> networks_to_fit_on([0, 1, 2, 3, 4], folds.assign(validation=-1))[2]
    [0, 1, 3, 4]
    >>> networks_to_fit_on([0, 1], folds.assign(validation=-1))
    {0: [1], 1: [0]}
    """
    subset = fitting_subset(folds)
    fitted = {network: set(folds["fold"][subsets(folds, network) == subset]) for network in run}
    return {fold: [network for network in run if fold not in fitted[network]] for fold in run}
