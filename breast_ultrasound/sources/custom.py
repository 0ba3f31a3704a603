"""Anyone's data: a case table or the release layout, in a folder or a zip."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from breast_ultrasound.cases.raw import TABLE, Case
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.litter import is_litter
from breast_ultrasound.sources.archive import extract
from breast_ultrasound.sources.case_table import copy_table
from breast_ultrasound.sources.release import copy_release


def copy_custom(archive: Path, folder: Path, max_gib: float) -> list[Case]:
    """Copy the cases of an archive to `folder`, verified: of its case table, or where it has none, its class folders.

    `archive` is a table, or a folder or a zip of at most `max_gib` unpacked. UserError names what is wrong with it.
    """
    with opened(archive, folder.parent, max_gib) as root:
        table = archive if archive.suffix.lower() == ".csv" else find_table(root)
        return copy_table(table, folder) if table else copy_release(root, folder)


@contextlib.contextmanager
def opened(archive: Path, beside: Path, max_gib: float) -> Iterator[Path]:
    """The folder that an archive is or lies in; a zip is unpacked in `beside` for as long."""
    if not archive.exists():
        raise UserError(f"{archive} does not exist.")
    if archive.is_dir():
        yield archive
    elif archive.suffix.lower() == ".csv":
        yield archive.parent
    else:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as unpacked:
            extract(archive, Path(unpacked), max_gib)
            yield Path(unpacked)


def find_table(root: Path) -> Path | None:
    """The case table somewhere in a folder, if it has one; UserError where there are several."""
    tables = sorted(path for path in root.rglob(TABLE) if not is_litter(path, root))
    if len(tables) > 1:
        raise UserError(
            f"{', '.join(str(path.relative_to(root)) for path in tables)}: {len(tables)} case tables. Name one of them."
        )
    return tables[0] if tables else None
