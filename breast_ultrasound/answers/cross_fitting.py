"""Fit the post-processing of every fold on validation images, none of which it is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import ALL, Postprocessing
from breast_ultrasound.answers.fitting import fit_dice_calibration, fit_steps, fit_temperature, parts_by_group, utility
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.answers.validation import Validation
from breast_ultrasound.scoring.paired import MORE_THAN_NOISE, PairedTest


@dataclass(frozen=True)
class Choice:
    """How steps are chosen: the values to try for each, the weight of a missed lesion, and the test of a gain.

    The seed of the test also draws the parts on which a decision is cross-fitted.
    """

    candidates: Mapping[str, Sequence[Any]]
    missed_lesion: float
    test: PairedTest


@dataclass(frozen=True)
class Pool:
    """The validation images of several networks, on which post-processing is fitted."""

    networks: Sequence[Validation]
    choice: Choice

    def fit(self, temperature: float) -> dict[str, Any]:
        """Return an entry of metrics/postprocess.json: a post-processing of this temperature, and its mean utility."""
        groups = np.concatenate([network.groups for network in self.networks])
        steps = fit_steps(
            self.choice.candidates,
            self.utilities,
            parts_by_group(groups, self.choice.test.seed),
            partial(is_gain, self.choice.test, groups=groups),
        )
        scored = [network.score(steps) for network in self.networks]
        dice, soft_dice = (np.concatenate([getattr(part, name) for part in scored]) for name in ("dice", "soft_dice"))
        before, after = (round(float(self.utilities(chosen).mean()), 4) for chosen in (Steps(), steps))
        return Postprocessing(steps, temperature, fit_dice_calibration(soft_dice, dice)).to_json() | {
            "validation_images": len(dice),
            "validation_before": before,
            "validation_after": after,
        }

    def utilities(self, steps: Steps) -> NDArray[np.float64]:
        """Return the utility of the mask that these steps make of each image [n]."""
        return np.concatenate(
            [
                utility(network.score(steps).dice, network.lesions, self.choice.missed_lesion)
                for network in self.networks
            ]
        )


def is_gain(test: PairedTest, gains: NDArray[np.float64], groups: NDArray[np.int64]) -> bool:
    """Return whether the mean of gains [n] of images is above 0, and by more than noise, by groups [n]."""
    mean = test.mean(gains, groups)
    return mean.value > 0 and mean.verdict == MORE_THAN_NOISE


def fit_all(networks: Mapping[int, Validation], folds: int, choice: Choice) -> dict[str, Any]:
    """Return the entries of metrics/postprocess.json: for the test images of each fold, and ALL for new images.

    `networks` are by the fold that each tests. Class logits are calibrated on the network's own validation images,
    since their scale is its own; for ALL on those of all networks.
    """
    pools = networks_to_fit_on(list(networks), folds)
    entries = {
        f"fold-{fold}": Pool([networks[other] for other in pool], choice).fit(networks[fold].temperature)
        for fold, pool in pools.items()
    }
    every = list(networks.values())
    logits, classes = (np.concatenate([getattr(network, name) for network in every]) for name in ("logits", "classes"))
    return entries | {ALL: Pool(every, choice).fit(fit_temperature(logits, classes))}


def networks_to_fit_on(run: Sequence[int], folds: int) -> dict[int, list[int]]:
    """Return, for each fold that is run, the networks on whose validation images its post-processing is fitted.

    A network is named by the fold that it tests; it was validated on the next one:

        images of fold    0      1      2      3      4
        network 0        test   valid  train  train  train
        network 1        train  test   valid  train  train
        network 2        train  train  test   valid  train
        network 3        train  train  train  test   valid
        network 4        valid  train  train  train  test

    The test images of fold 2 are the validation images of network 1 alone. So the post-processing of fold 2 is fitted
    on the validation images of all networks but network 1: on folds 0, 1, 3 and 4, and not on fold 2. A fold that is
    run alone has only its own network to be fitted on.

    >>> networks_to_fit_on([0, 1, 2, 3, 4], folds=5)[2]
    [0, 2, 3, 4]
    """
    return {fold: [network for network in run if validation_fold(network, folds) != fold] for fold in run}


def validation_fold(network: int, folds: int) -> int:
    """Return the fold on which the network that tests fold `network` was validated (as in `cases.folds.subsets`)."""
    return (network + 1) % folds
