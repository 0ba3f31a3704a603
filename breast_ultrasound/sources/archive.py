"""Open an archive of unknown origin: a folder, or a zip that is unpacked with care."""

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from breast_ultrasound.cases.names import normalise
from breast_ultrasound.pipeline.errors import UserError

GIB = 2**30

# Of an entry's flags: its content is encrypted, its name is UTF-8.
_ENCRYPTED, _UTF8 = 0x1, 0x800


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
    """Unpack `archive` into `folder`, behind a progress bar, with composed letters (Unicode's NFC) in the names.

    UserError where it is no zip file, truncated, damaged or encrypted, where an entry has no name, is a link, is there
    twice or would land outside `folder`, and where it would unpack to more than `max_gib`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            for entry in entries:
                _check(entry, archive)
            _check_all(entries, archive, max_gib)
            for entry in tqdm(entries, desc="unpack", unit="file", disable=None):
                _unpack(opened, entry, folder / path_of(entry))
    except UserError:
        raise
    except Exception as error:
        # The decoders raise whatever the damage leads to; an error of the system has a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(
                f"{archive}: cannot be unpacked to {folder} ({error.strerror}). Mend this there."
            ) from error
        raise UserError(f"{archive}: not a whole zip file ({error}). Fetch it again.") from error


def path_of(entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of an entry, decoded as the system meant it that wrote the archive."""
    if entry.flag_bits & _UTF8 or entry.filename.isascii():
        return normalise(entry.filename)
    # Python decodes all others by code page 437, that of DOS. Archives of macOS hold UTF-8 without the flag.
    coded = entry.filename.encode("cp437")
    with contextlib.suppress(UnicodeDecodeError):
        return normalise(coded.decode())
    # The letters of Western Europe lie from 0xC0 up in the code page of Windows, below it in that of DOS.
    is_of_windows = min(byte for byte in coded if byte > 0x7F) >= 0xC0
    return normalise(coded.decode("cp1252") if is_of_windows else entry.filename)


def _check(entry: zipfile.ZipInfo, archive: Path) -> None:
    posix, windows = PurePosixPath(entry.filename), PureWindowsPath(entry.filename)
    if not entry.filename or "\0" in entry.orig_filename:
        raise UserError(f"{archive}: its entry {entry.orig_filename!r} has no name for a file. Pack it anew.")
    # Python strips what leads outside when it extracts; such an archive is a mistake or an attack all the same.
    if posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts:
        raise UserError(f"{archive}: its entry {entry.filename!r} would land outside the target. Do not use this file.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UserError(f"{archive}: its entry {entry.filename!r} is a symbolic link. Pack the files themselves.")
    if entry.flag_bits & _ENCRYPTED:
        raise UserError(f"{archive}: its entry {entry.filename!r} is encrypted. Pack it without a password.")


def _check_all(entries: Sequence[zipfile.ZipInfo], archive: Path, max_gib: float) -> None:
    for path, times in Counter(path_of(entry) for entry in entries if not entry.is_dir()).items():
        if times > 1:
            raise UserError(f"{archive}: holds {str(path)!r} twice. Pack each file once.")
    total = sum(entry.file_size for entry in entries) / GIB
    if total > max_gib:
        raise UserError(
            f"{archive}: unpacks to {total:.1f} GiB, more than data.max_gib = {max_gib:g}. "
            "Raise data.max_gib if you trust it."
        )


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
