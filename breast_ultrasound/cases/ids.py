"""The ids of cases, which name their files: what every file system, shell and page takes as part of a name."""

import re
import unicodedata

_ID = re.compile(r"\w([\w .()+-]{0,98}[\w)])?")
_UNSAFE = re.compile(r"[^\w .()+-]")
# Windows keeps these for devices, whatever suffix follows.
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
# Bytes of an id that is made here; the names of its files add a digest and a suffix.
_LONGEST = 80


def is_safe(case_id: str) -> bool:
    """Return whether an id can be the name of a file anywhere, beside those of masks.

    >>> is_safe("left 1"), is_safe("a/b"), is_safe("a_mask_1"), is_safe("NUL")
    (True, False, False, False)
    """
    return bool(_ID.fullmatch(case_id)) and not _RESERVED.fullmatch(case_id) and "_mask" not in case_id.lower()


def case_id_of(name: str) -> str:
    """Return an id that is safe, as much like the name of a file as it can be.

    >>> case_id_of("left 1"), case_id_of("(1) a/b?"), case_id_of("x_mask"), case_id_of("NUL")
    ('left 1', '1) a_b_', 'x_ mask', 'NUL scan')
    """
    plain = re.sub("_mask", "_ mask", _UNSAFE.sub("_", unicodedata.normalize("NFC", name)), flags=re.IGNORECASE)
    short = re.sub(r"^\W+", "", plain).encode()[:_LONGEST].decode(errors="ignore")
    ended = re.sub(r"[^\w)]+$", "", short) or "scan"
    return f"{ended} scan" if _RESERVED.fullmatch(ended) else ended
