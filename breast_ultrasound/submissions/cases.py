"""The cases whose masks are scored: those that are checked out, or those of a case table."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from breast_ultrasound.cases.raw import RAW, TABLE, Case, read_cases
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.case_table import copy_table
from breast_ultrasound.sources.own_data import name_of


@contextlib.contextmanager
def open_cases(table: Path | None) -> Iterator[list[Case]]:
    """Yield the cases that are checked out, or those of a case table, which are copied until the context ends.

    UserError lists every fault of the table.
    """
    if table is None:
        if not (RAW / TABLE).exists():
            raise UserError(f"{RAW}: not found. Make it with `uv run dvc repro split`, or name a table with --data.")
        yield read_cases(RAW)
        return
    # In the working directory, which the machines of a cluster see as well.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".partial-") as name:
        yield [replace(case, source=case.source or name_of(table)) for case in copy_table(table, Path(name))]
