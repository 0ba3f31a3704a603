"""Read one's own data: a case table or class folders, in a folder or a zip."""

from pathlib import Path

from breast_ultrasound.cases.raw import TABLE, Case
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import walk
from breast_ultrasound.sources.archive import open_archive
from breast_ultrasound.sources.case_table import copy_table
from breast_ultrasound.sources.class_folders import copy_class_folders


def copy_own_data(path: Path, folder: Path, max_gib: float) -> list[Case]:
    """Copy verified cases to `folder`: those of the case table, or where there is none, of the class folders.

    `path` is a table, or a folder or a zip of at most `max_gib` unpacked. UserError names what is wrong with it.
    """
    if _is_table(path) and path.exists():
        return copy_table(path, folder)
    with open_archive(path, folder.parent, max_gib) as root:
        table = find_table(root)
        return copy_table(table, folder) if table else copy_class_folders(root, folder)


def name_of(path: Path) -> str:
    """Return the name of a data set: that of its folder or file.

    >>> name_of(Path("clinic/cases.csv")), name_of(Path("clinic.zip")), name_of(Path("clinic"))
    ('clinic', 'clinic', 'clinic')
    """
    return path.resolve().parent.name if path.name == TABLE else path.resolve().stem


def find_table(root: Path) -> Path | None:
    """Return the case table somewhere in a folder, or None where it has none; UserError where there are several."""
    tables = [path for path in walk(root) if path.name == TABLE]
    if len(tables) > 1:
        raise UserError(
            f"{', '.join(str(path.relative_to(root)) for path in tables)}: {len(tables)} case tables. Name one of them."
        )
    return tables[0] if tables else None


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"
