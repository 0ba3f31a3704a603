"""Group the near-duplicates of each frame and the frames of each sweep, and flag what is doubtful, with the evidence.

Writes data/groups.csv, a row an image: its patient; `frame`, the same for all near-duplicates of a frame; `sweep`, the
same for all frames of a sweep; `group`, which joins sweeps and patients; the most similar image of the frame and how
similar it is; the closest other frame of the sweep, by its first image, and how close it is; `conflict` where the frame
is filed under several classes, and `several_patients`; flags with the figures they rest on (auditing/quality.py); and
`dropped`, why an image is not used: `conflict`, `near-duplicate`, or `no` for one that is used. Counts go to
metrics/audit.json. See auditing/near_duplicates.py for how near-duplicates are found, auditing/sweeps.py for sweeps.
"""

import json
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import model_validator

from breast_ultrasound.auditing.quality import FLAGS
from breast_ultrasound.auditing.search import Thresholds, find_relations
from breast_ultrasound.auditing.summary import CONFLICT, NEAR_DUPLICATE, summarise
from breast_ultrasound.auditing.table import tabulate
from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.network.features import imagenet_encoder
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write, write_json
from breast_ultrasound.pipeline.params import Section, Seed, load

AUDIT = Path("metrics/audit.json")


class Audit(Thresholds, extra="forbid"):
    """When images belong together, and which of them are used."""

    conflicts: Literal["keep", "drop"]
    repeats: Literal["group", "one_per_group"]

    @model_validator(mode="after")
    def _check(self) -> "Audit":
        if self.weak_similarity > self.similarity:
            raise ValueError(f"weak_similarity: {self.weak_similarity} is above similarity, {self.similarity}")
        if self.conflicts == "keep" and self.repeats == "one_per_group":
            raise ValueError(
                "repeats: of a frame filed under two classes, one_per_group would keep the image that sorts first, "
                "even if its class is wrong; set conflicts to drop, or repeats to group"
            )
        return self


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    seed: Seed
    audit: Audit


def reasons_to_drop(table: pd.DataFrame, audit: Audit) -> pd.Series:
    """Return why each image is dropped, by the choices of params.yaml; the first image of a frame is kept."""
    reason = pd.Series("no", index=table.index)
    if audit.repeats == "one_per_group":
        reason[table["frame"].duplicated()] = NEAR_DUPLICATE
    if audit.conflicts == "drop":
        reason[table["conflict"]] = CONFLICT
    return reason


def write(table: pd.DataFrame, groups: Path, summary: Path) -> None:
    """Write groups.csv, flags as 0 and 1, and audit.json."""
    with atomic_write(groups) as aside:
        table.astype(dict.fromkeys(FLAGS, int)).to_csv(aside, index=False, float_format="%.3f")
    write_json(summary, summarise(table))


@command
def main() -> None:
    """Audit data/raw."""
    params = load(Params)
    relations = find_relations(read_cases(RAW), params.audit, imagenet_encoder, params.seed, GROUPS.parent)
    table = tabulate(relations)
    table["dropped"] = reasons_to_drop(table, params.audit)
    write(table, GROUPS, AUDIT)
    print(json.dumps(summarise(table), indent=2))


if __name__ == "__main__":
    main()
