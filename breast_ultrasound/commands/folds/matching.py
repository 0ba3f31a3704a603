"""Which image of an audit is meant: by its pixels, its id, or the name of its file in the release."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import pandas as pd

from breast_ultrasound.cases.names import normalise
from breast_ultrasound.cases.pictures import SUFFIXES
from breast_ultrasound.submissions.matching import ids_by_name


def match_pixels(digests: Sequence[str], digest_by_id: Mapping[str, str]) -> list[str | None]:
    """Return the id of the image that has each hash; of equal images the first, since they are of one frame.

    >>> match_pixels(["e5", "77"], {"benign (1)": "e5", "benign (2)": "e5"})
    ['benign (1)', None]
    """
    id_of: dict[str, str] = {}
    for case_id, digest in digest_by_id.items():
        id_of.setdefault(digest, case_id)
    return [id_of.get(digest) for digest in digests]


def match_names(names: Sequence[str], audit: pd.DataFrame) -> list[str | None]:
    """Return the id of the image that each name means: an id, or a path whose file is named by id or as released.

    >>> audit = pd.DataFrame({"id": ["benign (1)", "bus-bra bus_0001-l"], "source": ["busi", "bus-bra"]})
    >>> match_names(["benign (1)", "Images/bus_0001-l.png", "imagesTr/benign (1)_0000.png", "x.png"], audit)
    ['benign (1)', 'bus-bra bus_0001-l', 'benign (1)', None]
    """
    id_of = ids_by_name(dict(zip(audit["id"], audit["source"], strict=True)))
    return [next((id_of[each] for each in _meanings(name) if each in id_of), None) for name in names]


def _meanings(name: str) -> list[str]:
    path: PurePosixPath = normalise(name)
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    # nnU-Net puts the number of the channel behind the names of files.
    return [str(path), stem, stem.removesuffix("_0000")]
