"""The place where work is done: code, versions and storage, by which a worker of a cluster is checked.

Its functions run on workers and on the scheduler too, so that they need nothing but this project.
"""

import functools
import hashlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import yaml

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """What a worker must have in common with the process that sends it work.

    These are the working directory, a file that was just made in it, the hash of the code, and the versions of the
    packages that decide results.
    """

    folder: str
    token: str
    code: str
    versions: dict[str, str]


@functools.cache
def code() -> str:
    """Return the SHA-256 of this project's code as it is at the first call, since a worker keeps what it has loaded."""
    digest = hashlib.sha256()
    for folder in ("breast_ultrasound", "stages"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            digest.update(
                f"{path.relative_to(_ROOT).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
    return digest.hexdigest()


@functools.cache
def version(package: str) -> str:
    """Return the installed version of a package, or of Python; `none` where it is not installed."""
    if package == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def difference(place: Place) -> str | None:
    """Describe how the code or the versions of this process differ from those of the place; None where they don't."""
    if code() != place.code:
        return "it runs other code of this project. Start it anew, from this checkout."
    others = [
        f"{name} {version(name)} instead of {required}"
        for name, required in place.versions.items()
        if version(name) != required
    ]
    if others:
        return f"it has {', '.join(others)}. Install the versions of requirements.lock on all machines."
    return None


def obstacle(place: Place) -> str | None:
    """Describe why this process must not compute for that place; None where it may."""
    differs = difference(place)
    if differs:
        return differs
    if os.getcwd() != place.folder:  # noqa: PTH109
        return f"it works in {os.getcwd()}. Start it in {place.folder}."  # noqa: PTH109
    if not Path(place.token).exists():
        return f"its {place.folder} is another folder than the one here. Put the checkout on storage that both see."
    return None


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide results, and of those that carry the work."""
    deciding = yaml.safe_load((_ROOT / "versions.yaml").read_text(encoding="utf-8"))
    return {name: version(name) for name in ("python", "cloudpickle", "distributed", *deciding)}
