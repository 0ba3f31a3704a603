"""The files that operating systems leave among those of people."""

import re
from pathlib import Path

_NAMES = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE)


def is_system_file(path: Path, folder: Path) -> bool:
    """Return whether a path below `folder` is, or lies in, a file or folder that an operating system left there.

    >>> scans = Path("scans")
    >>> [is_system_file(scans / name, scans) for name in ("a.png", "._a.png", "__MACOSX/a.png")]
    [False, True, True]
    """
    return any(_NAMES.fullmatch(part) for part in path.relative_to(folder).parts)
