"""How DICOM files begin."""

import re

# Without the preamble of 128 bytes and "DICM": the first element, of group 2 or 8, with its explicit type.
_BARE = re.compile(rb"(\x02\0\0\0UL\x04\0|\x02\0\x01\0OB\0\0|\x08\0[\0-\x20]\0(UL|UI|CS|DA|LO|SH)[\0-\x40]\0)")


def starts_as_dicom(start: bytes) -> bool:
    """Return whether the first 132 bytes of a file are those of a DICOM object, with a preamble or without."""
    return start[128:132] == b"DICM" or bool(_BARE.match(start))
