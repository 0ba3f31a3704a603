"""The names of files as tables, COCO files and archives write them, and as they are on disk."""

import contextlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote


def normalise(name: str | PurePosixPath) -> PurePosixPath:
    r"""Return a path as it is compared: with forward slashes, and letters composed with their accents (Unicode's NFC).

    >>> str(normalise("masks\\Bru\u0308st.png")) == "masks/Br\u00fcst.png"
    True
    """
    return PurePosixPath(unicodedata.normalize("NFC", str(name)).replace("\\", "/"))


def decode_percent(name: str | PurePosixPath) -> PurePosixPath:
    """Return a normalised path with characters such as %20 decoded."""
    return normalise(unquote(str(name)))


def find_files(root: Path, names: Iterable[PurePosixPath]) -> dict[PurePosixPath, PurePosixPath]:
    """Return the path below `root` of the file that each name means.

    That is the file of this very name, else of the same normalised name, else of the name with %20 and the like
    decoded; where there is none, the name itself. Names with `..` and absolute ones mean none of these.
    """
    listings: dict[PurePosixPath, dict[PurePosixPath, str]] = {}

    def listing(folder: PurePosixPath) -> dict[PurePosixPath, str]:
        if folder not in listings:
            listings[folder] = {}
            with contextlib.suppress(OSError, ValueError):
                listings[folder] = {normalise(name): name for name in sorted(os.listdir(root / folder))}  # noqa: PTH208
        return listings[folder]

    def below(name: PurePosixPath) -> PurePosixPath | None:
        path = PurePosixPath()
        for part in name.parts:
            entry = listing(path).get(PurePosixPath(part))
            if entry is None:
                return None
            path /= entry
        return path

    def file_of(name: PurePosixPath) -> PurePosixPath:
        if (root / name).exists():
            return name
        return below(normalise(name)) or below(decode_percent(name)) or name

    return {name: file_of(name) for name in dict.fromkeys(names)}
