"""Group the frames that repeat one another and those of one sweep, and flag what is doubtful, each with the evidence.

Writes data/groups.csv, a row an image: its patient; `frame`, the same for all repeats of one; `sweep`, the same for
frames of one lesion; `group`, which joins sweeps and patients; the most similar image of the frame and how similar it
is; the closest other frame of the sweep, by its first image, and how close it is; `conflict` where the frame is filed
under several classes, and `several_patients`; flags with the figures they rest on (repeats/quality.py); and
`dropped`, which says why an image is not used: `conflict`, `repeat` or `no`. Counts go to metrics/audit.json. How
repeats are found: repeats/duplicates.py; how sweeps are: repeats/sweeps.py.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from breast_ultrasound.cases.classes import UNTOLD
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.groups import by_patient, join
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Real, Section, Seed, load
from breast_ultrasound.repeats.duplicates import Pair, group
from breast_ultrasound.repeats.quality import BURNED_PIXELS, FLAGS, LOW_CONTRAST, summarise
from breast_ultrasound.repeats.search import Found, find_alike
from breast_ultrasound.repeats.sweeps import Link, chained

AUDIT = Path("metrics/audit.json")


class Audit(Section):
    """Repeated frames."""

    similarity: Annotated[Real, Field(gt=0, le=1)]
    weak_similarity: Annotated[Real, Field(gt=0, le=1)]
    sweep: Annotated[Real, Field(gt=0)] | None
    conflicts: Literal["keep", "drop"]
    repeats: Literal["group", "one_per_group"]

    @model_validator(mode="after")
    def _check(self) -> "Audit":
        if self.weak_similarity > self.similarity:
            raise ValueError(f"weak_similarity: {self.weak_similarity} is above similarity, {self.similarity}")
        if self.conflicts == "keep" and self.repeats == "one_per_group":
            raise ValueError(
                "repeats: of a frame filed under two classes one_per_group would keep the one that sorts first, be it "
                "wrong or right; set conflicts to drop, or repeats to group"
            )
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    audit: Audit


def tabulate(found: Found, audit: Audit) -> pd.DataFrame:
    """The table of groups.csv."""
    figures, pairs, frames, links = found.figures, found.pairs, found.frames, found.links
    alike = group(len(figures), pairs, audit.weak_similarity, audit.similarity)
    sweeps = join(alike, chained(len(figures), links))
    groups = join(sweeps, by_patient(figures["patient"]))
    table = figures[["id", "class", "patient"]].assign(frame=frames, sweep=sweeps, group=groups)
    table = table.join(_nearest(pairs, frames, figures["id"])).join(_closest(links, frames, figures["id"]))
    table["conflict"] = conflicts(table)
    table["several_patients"] = table["patient"].mask(table["patient"] == "").groupby(frames).transform("nunique") > 1
    table["marks"] = figures["burned_pixels"] >= BURNED_PIXELS
    table["mask_empty_in_lesion_class"] = (figures["mask_pixels"] == 0) & (figures["class"] != "normal")
    table["mask_touches_border"] = figures["border_pixels"] > 0
    table["mask_many_parts"] = figures["mask_parts"] > figures["masks"]
    table["low_contrast"] = figures["contrast"] < LOW_CONTRAST
    evidence = ["burned_pixels", "mask_pixels", "border_pixels", "mask_parts", "masks", "contrast"]
    return table.join(figures[evidence]).assign(dropped=dropped(table, audit))


def conflicts(table: pd.DataFrame) -> pd.Series:
    """Whether the frame of each image is filed under classes that exclude each other; `lesion` may be of any kind."""
    lesion, told = table["class"] != "normal", table["class"].mask(table["class"] == UNTOLD)
    return (told.groupby(table["frame"]).transform("nunique") > 1) | (
        lesion.groupby(table["frame"]).transform("nunique") > 1
    )


def _nearest(pairs: Sequence[Pair], frames: np.ndarray, ids: pd.Series) -> pd.DataFrame:
    """The most similar image of the same frame, its similarity and whether it is a mirror image; empty for a single."""
    rows = [
        (a, b, pair.similarity, pair.mirrored)
        for pair in pairs
        for a, b in ((pair.first, pair.second), (pair.second, pair.first))
        if frames[a] == frames[b]
    ]
    links = pd.DataFrame(rows, columns=["image", "nearest", "similarity", "mirrored"])
    best = links.sort_values(["image", "similarity", "nearest"], ascending=[True, False, True]).groupby("image").first()
    return best.assign(nearest=ids.reindex(best["nearest"]).to_numpy())


def _closest(links: Sequence[Link], frames: NDArray[np.int64], ids: pd.Series) -> pd.DataFrame:
    """The first image of the closest other frame of the sweep, and how close it is; empty where there is none."""
    rows = [
        (frames[one], two, link.closeness)
        for link in links
        for one, two in ((link.first, link.second), (link.second, link.first))
    ]
    ranked = pd.DataFrame(rows, columns=["frame", "other", "closeness"]).sort_values(
        ["frame", "closeness", "other"], ascending=[True, False, True]
    )
    best = ranked.groupby("frame").first().reindex(frames).reset_index(drop=True)
    return pd.DataFrame({"neighbour": ids.reindex(best["other"]).to_numpy(), "closeness": best["closeness"]})


def dropped(table: pd.DataFrame, audit: Audit) -> pd.Series:
    """Why each image is not used, by the choices of params.yaml; of the repeats of a frame the first one is kept."""
    reason = pd.Series("no", index=table.index)
    if audit.repeats == "one_per_group":
        reason[table["frame"].duplicated()] = "repeat"
    if audit.conflicts == "drop":
        reason[table["conflict"]] = "conflict"
    return reason


def write(table: pd.DataFrame, groups: Path, summary: Path) -> None:
    """Write groups.csv, flags as 0 and 1, and audit.json."""
    with written_aside(groups) as aside:
        table.astype(dict.fromkeys(FLAGS, int)).to_csv(aside, index=False, float_format="%.3f")
    with written_aside(summary) as aside:
        aside.write_text(json.dumps(summarise(table), indent=2) + "\n")


@command
def main() -> None:
    """Audit data/raw."""
    loaded = load(Params)
    audit = loaded.audit
    found = find_alike(read_cases(RAW), audit.similarity, audit.sweep, imagenet_encoder, loaded.seed, GROUPS.parent)
    table = tabulate(found, audit)
    write(table, GROUPS, AUDIT)
    print(json.dumps(summarise(table), indent=2))


if __name__ == "__main__":
    main()
