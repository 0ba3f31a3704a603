"""What lies in folders of people's files and is none of theirs."""

import re
from pathlib import Path

_LITTER = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE)


def is_litter(path: Path, folder: Path) -> bool:
    """Whether a path below `folder` is or lies in what operating systems leave there: `._a.png`, `__MACOSX`, …"""
    return any(_LITTER.fullmatch(part) for part in path.relative_to(folder).parts)
