"""What both the report and the model card state of a run."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS
from breast_ultrasound.auditing.summary import summarise
from breast_ultrasound.cases.folds import CROSSINGS
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, read_sources
from breast_ultrasound.pages.trainings import describe
from breast_ultrasound.scoring import error_kinds, external
from breast_ultrasound.scoring.figures import FIGURES
from breast_ultrasound.training.history import read_record


def read_facts(folds: Sequence[int], audit: pd.DataFrame) -> dict[str, Any]:
    """Read the sources, figures, trainings and post-processing of a run of `folds`; `audit` is its groups.csv."""
    return {
        "size": read_index(PREPARED)["size"].iloc[0],
        "training": describe({fold: read_record(fold) for fold in folds}),
        "figures": json.loads(FIGURES.read_text(encoding="utf-8")),
        "external": json.loads(external.FIGURES.read_text(encoding="utf-8")),
        "postprocess": json.loads(POSTPROCESS.read_text(encoding="utf-8")),
        "sources": read_sources(RAW),
        "crossings": json.loads(CROSSINGS.read_text(encoding="utf-8")),
        "audit": summarise(audit),
        "kinds": error_kinds,
    }
