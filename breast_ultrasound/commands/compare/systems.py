"""Systems that `score` has scored, whoever made them, beside the runs of this project (revisions.py)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from breast_ultrasound.commands.compare.revisions import Revision, find
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.submissions import scored


@dataclass(frozen=True)
class Scored:
    """The folder of a scored system."""

    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the system."""
        return self.folder.resolve().name

    def read(self, path: Path) -> str:
        """Read the file that a run has at this path; UserError where a scored system has none."""
        try:
            return (self.folder / path.name).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.folder}: holds no {path.name}. Make it with `uv run score`.") from error

    @property
    def case_table(self) -> Path | None:
        """Return the case table whose images were scored; None where they were those that were checked out."""
        data = json.loads(self.read(Path(scored.FIGURES)))[scored.DATA]
        return Path(data) if data else None


Run: TypeAlias = Revision | Scored


def find_run(name: str) -> Run:
    """Find the folder of a scored system, else what `find` does."""
    return Scored(Path(name)) if (Path(name) / scored.SCORES).is_file() else find(name)
