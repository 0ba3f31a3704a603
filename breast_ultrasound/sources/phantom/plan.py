"""Plan a phantom data set: the class, patient, sweep, marks and near-duplicates of each image."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.sources.phantom.near_duplicates import KINDS, Kind
from breast_ultrasound.sources.phantom.volume import SWEEP_FRAMES

# Shares of BUSI: 437, 210 and 133 of 780 images.
_CLASS_SHARES = (437 / 780, 210 / 780, 133 / 780)
_NEAR_DUPLICATE_SHARE = 0.15
# Of the near-duplicates of lesion frames, those filed under the other class.
_CONFLICT_SHARE = 0.12
_OTHER_LESION = {"benign": "malignant", "malignant": "benign"}
_MARKED_SHARE = 0.4
# Of the frames of a class, those of sweeps.
_SWEPT_SHARE = 0.12
# Of the frames, those of a patient who has one already; of the near-duplicates, those filed under another name.
_SEVERAL_FRAMES_SHARE = 0.2
_RENAMED_SHARE = 0.1


@dataclass(frozen=True)
class Plan:
    """One image to draw: its class, its number in that class, the frame that it shows, its marks and its patient.

    The frame is drawn as `frame_cls`; a near-duplicate of it may be filed under another class, `cls`. `near_duplicate`
    is how the image differs from the first export of the frame, and empty for that one. `sweep` is the first frame of
    the sweep that the frame belongs to, and `step` its place there; a frame outside a sweep is the only one of its own.
    """

    cls: str
    number: int
    frame: int
    frame_cls: str
    near_duplicate: Kind
    marks: bool
    sweep: int
    step: int = 0
    patient: str = ""

    @property
    def id(self) -> str:
        """The file stem in the release layout."""
        return f"{self.cls} ({self.number})"


def plan_images(count: int, seed: int) -> list[Plan]:
    """Plan `count` images in the class shares of BUSI, sorted by class and number.

    15% are near-duplicates of an earlier frame, some of these filed under another class; 12% of the frames are of
    sweeps. The same count and seed give the same plans.
    """
    rng = np.random.default_rng((seed, 0))
    counts = np.round(np.array(_CLASS_SHARES) * count).astype(int)
    counts[0] += count - counts.sum()
    classes = rng.permutation(np.repeat(CLASSES, counts)).tolist()
    plans: list[Plan] = []
    numbers = dict.fromkeys(CLASSES, 0)
    for frame, cls in enumerate(classes):
        numbers[cls] += 1
        marks = bool(rng.random() < _MARKED_SHARE)
        source_cls = _OTHER_LESION.get(cls, cls) if rng.random() < _CONFLICT_SHARE else cls
        originals = [plan for plan in plans if not plan.near_duplicate and plan.frame_cls == source_cls]
        if originals and rng.random() < _NEAR_DUPLICATE_SHARE:
            source = originals[rng.integers(len(originals))]
            kind = KINDS[rng.integers(len(KINDS))]
            marks = {"exact": source.marks, "marks": not source.marks}.get(kind, marks)
            plans.append(Plan(cls, numbers[cls], source.frame, source.frame_cls, kind, marks, source.frame))
        else:
            plans.append(Plan(cls, numbers[cls], frame, cls, "", marks, frame))
    plans = _with_patients(_with_sweeps(plans, seed), seed)
    return sorted(plans, key=lambda plan: (plan.cls, plan.number))


def _with_sweeps(plans: list[Plan], seed: int) -> list[Plan]:
    """Return the plans with some frames of each class put into sweeps, as many as its share allows."""
    rng = np.random.default_rng((seed, 5))
    places = {plan.frame: (plan.sweep, plan.step) for plan in plans}
    for cls in CLASSES:
        frames = rng.permutation([plan.frame for plan in plans if plan.cls == cls and not plan.near_duplicate])
        swept = round(_SWEPT_SHARE * len(frames))
        while swept >= SWEEP_FRAMES[0]:
            length = rng.integers(SWEEP_FRAMES[0], min(SWEEP_FRAMES[1], swept) + 1)
            sweep, frames = frames[:length].tolist(), frames[length:]
            places |= {frame: (sweep[0], step) for step, frame in enumerate(sweep)}
            swept -= length
    return [replace(plan, sweep=places[plan.frame][0], step=places[plan.frame][1]) for plan in plans]


def _with_patients(plans: list[Plan], seed: int) -> list[Plan]:
    """Return the plans with patients: some have two sweeps, and some near-duplicates are filed under another."""
    rng = np.random.default_rng((seed, 4))
    patient_of: dict[int, int] = {}
    named = []
    for number, plan in enumerate(plans):
        if plan.sweep not in patient_of:
            # A third time would chain the sweeps and frames of a few patients into groups of half a fold.
            once = [patient for patient, sweeps in Counter(patient_of.values()).items() if sweeps == 1]
            again = bool(once) and rng.random() < _SEVERAL_FRAMES_SHARE
            patient_of[plan.sweep] = int(rng.choice(once)) if again else number
        renamed = bool(plan.near_duplicate) and rng.random() < _RENAMED_SHARE
        named.append(replace(plan, patient=f"P{number if renamed else patient_of[plan.sweep]:04}"))
    return named
