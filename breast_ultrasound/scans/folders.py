"""Folders of scans: which files in them are some."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breast_ultrasound.cases.pictures import open_file
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.system_files import is_system_file
from breast_ultrasound.scans.dicom_file import starts_as_dicom
from breast_ultrasound.scans.reading import DICOM, SUFFIXES


@dataclass(frozen=True)
class Listing:
    """The scans of a folder, and its DICOM objects without pixels, such as a DICOMDIR or a report; both are sorted."""

    scans: list[Path]
    without_pixels: list[Path]


def list_scans(folder: Path, left_out: Path | None = None) -> Listing:
    """List the scans in a folder and below, but in the folder `left_out`; UserError where a folder cannot be read."""
    scans, without_pixels = [], []
    for path in walk(folder):
        if left_out is not None and is_below(path, left_out):
            continue
        if path.suffix.lower() in SUFFIXES - DICOM:
            scans.append(path)
        elif path.suffix.lower() in DICOM or _begins_as_dicom(path):
            (scans if _may_hold_pixels(path) else without_pixels).append(path)
    return Listing(scans, without_pixels)


def walk(folder: Path) -> Iterator[Path]:
    """Yield the regular files in a folder and below in sorted order, through symbolic links; none is a system file.

    A folder that contains itself by a link is entered once. UserError where a folder cannot be read.
    """
    yield from sorted(path for path in _walk(folder, frozenset()) if not is_system_file(path, folder))


def is_below(path: Path, folder: Path) -> bool:
    """Return whether a file lies in a folder or below, also by another name."""
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents


def _walk(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}).") from error
    for entry in entries:
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:
            # A link to itself.
            continue
        if is_folder:
            yield from _walk(folder / entry.name, above | {real})
        elif is_file:
            yield folder / entry.name


def _begins_as_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its first bytes; one that cannot be read is taken for it, and so reported."""
    try:
        with open_file(path) as file:
            return starts_as_dicom(file.read(132))
    except UserError:
        return True


def _may_hold_pixels(path: Path) -> bool:
    from breast_ultrasound.scans import dicom  # noqa: PLC0415  see `read_scan`

    return dicom.may_hold_pixels(path)
