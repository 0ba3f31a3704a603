"""A release's files known by the hashes of their decoded pixels, so that a lossless re-encoding counts as the same.

A manifest is a text file with a line a file, `<digest>  <class>/<name>`, as `fingerprints` gives them; that of BUSI was
made from the published release.
"""

from pathlib import Path

import cv2

from breast_ultrasound.cases.images import decode, pixel_digest
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError

BUSI = Path(__file__).parent / "busi.sha256"


def fingerprints(cases: list[Case]) -> dict[str, str]:
    """The digest of each image and mask, decoded in colour, by its name `<class>/<file>`."""
    files = [path for case in cases for path in (case.image, *case.masks)]
    digests = map_on_all_machines(_digest, files, "verify")
    return {_name(path): digest for path, digest in zip(files, digests, strict=True)}


def check(cases: list[Case], manifest: Path) -> None:
    """Compare a release with its manifest; UserError names the files that are missing, too many or altered."""
    lines = (line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines())
    expected = {name: digest for digest, name in lines}
    found = fingerprints(cases)
    altered = {name for name in expected.keys() & found.keys() if expected[name] != found[name]}
    problems = [
        f"{label}: {_some(names)}"
        for label, names in (
            ("missing", expected.keys() - found.keys()),
            ("not part of the release", found.keys() - expected.keys()),
            ("altered", altered),
        )
        if names
    ]
    if problems:
        raise UserError(
            "the data is not the BUSI release, "
            + "; ".join(problems)
            + ". Fetch it again, or set data.source to custom."
        )


def _digest(path: Path) -> str:
    return pixel_digest(decode(path, cv2.IMREAD_COLOR))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _some(names: set[str], most: int = 5) -> str:
    shown = ", ".join(sorted(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
