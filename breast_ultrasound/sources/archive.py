"""Open an archive of unknown origin: a folder, or a zip that is unpacked with care."""

import contextlib
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from breast_ultrasound.pipeline.errors import UserError

GIB = 2**30


@contextlib.contextmanager
def open_archive(archive: Path, beside: Path, max_gib: float) -> Iterator[Path]:
    """Yield the folder that an archive is or holds; a zip is unpacked in `beside` until the context ends.

    UserError where there is no such file, and for a zip as `extract` has it.
    """
    if not archive.exists():
        raise UserError(f"{archive} does not exist. Correct the path.")
    if archive.is_dir():
        yield archive
    else:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as unpacked:
            extract(archive, Path(unpacked), max_gib)
            yield Path(unpacked)


def extract(archive: Path, folder: Path, max_gib: float) -> None:
    """Unpack `archive` into `folder`, behind a progress bar.

    UserError where it is no zip file, truncated, damaged or encrypted, where an entry is a link or would land outside
    `folder`, and where it would unpack to more than `max_gib`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            for entry in entries:
                _check(entry, archive)
            total = sum(entry.file_size for entry in entries) / GIB
            if total > max_gib:
                raise UserError(
                    f"{archive}: unpacks to {total:.1f} GiB, more than data.max_gib = {max_gib:g}. "
                    "Raise data.max_gib if you trust it."
                )
            for entry in tqdm(entries, desc="unpack", unit="file", disable=None):
                opened.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive}: not a whole zip file ({error}). Fetch it again.") from error
    except OSError as error:
        raise UserError(f"{archive}: cannot be unpacked to {folder} ({error.strerror}). Make room there.") from error


def _check(entry: zipfile.ZipInfo, archive: Path) -> None:
    # Python strips what leads outside when it extracts; such an archive is a mistake or an attack all the same.
    posix, windows = PurePosixPath(entry.filename), PureWindowsPath(entry.filename)
    if posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts:
        raise UserError(f"{archive}: its entry {entry.filename!r} would land outside the target. Do not use this file.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UserError(f"{archive}: its entry {entry.filename!r} is a symbolic link. Pack the files themselves.")
    if entry.flag_bits & 1:
        raise UserError(f"{archive}: its entry {entry.filename!r} is encrypted. Pack it without a password.")
