"""Verify a release file by file against hashes that lie beside its code.

A manifest is a text file with a line a file, `<SHA-256>  <path below the root of the release>`: of pictures the hash of
their decoded pixels, so that a lossless re-encoding passes, and of tables that of their text.
"""

import hashlib
from pathlib import Path

import cv2

from breast_ultrasound.cases.images import pixel_digest
from breast_ultrasound.cases.pictures import decode
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.system_files import is_system_file


def digests(root: Path, tables: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of each PNG file below `root`, decoded in colour, and of the tables there, by path."""
    pictures = sorted(path for path in root.rglob("*.png") if not is_system_file(path, root))
    files = [*pictures, *(root / table for table in tables if (root / table).exists())]
    hashed = map_on_all_machines(_digest, files, "verify")
    return {path.relative_to(root).as_posix(): digest for path, digest in zip(files, hashed, strict=True)}


def write_manifest(root: Path, manifest: Path, tables: tuple[str, ...] = ()) -> None:
    """Write the manifest of the release below `root`."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(digests(root, tables).items()))
    manifest.write_text("".join(lines), encoding="utf-8")


def check_release(root: Path, manifest: Path, title: str) -> None:
    """Compare the files below `root` with a manifest; UserError names those that are missing, too many or altered."""
    lines = (line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines())
    expected = {name: digest for digest, name in lines}
    actual = digests(root, tuple(name for name in expected if name.endswith(".csv")))
    problems = [
        f"{label}: {_first(names)}"
        for label, names in (
            ("missing", expected.keys() - actual.keys()),
            ("not part of the release", actual.keys() - expected.keys()),
            ("altered", {name for name in expected.keys() & actual.keys() if expected[name] != actual[name]}),
        )
        if names
    ]
    if problems:
        raise UserError(
            f"the data is not the {title} release, {'; '.join(problems)}. Fetch it again, or name its path in "
            "data.sources to use it as your own data."
        )


def _digest(path: Path) -> str:
    if path.suffix == ".png":
        return pixel_digest(decode(path, cv2.IMREAD_COLOR))
    # Line ends differ between systems.
    return hashlib.sha256(path.read_text(encoding="utf-8-sig").encode()).hexdigest()


def _first(names: set[str], most: int = 5) -> str:
    listed = ", ".join(sorted(names)[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
