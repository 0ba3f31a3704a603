"""Which file of a submission is of which image, by their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from breast_ultrasound.cases.pairing import pair
from breast_ultrasound.cases.raw import Case
from breast_ultrasound.scans.reading import name_without_suffix

_ARRAY = re.compile(r"\.(nii(\.gz)?|npy)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Matching:
    """The file of each image by the id of the image, files that fit no image, and files of the same image, by its id.

    A file is in one of the three alone.
    """

    file_of: dict[str, PurePosixPath]
    unmatched: list[PurePosixPath]
    repeated: dict[str, list[PurePosixPath]]

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the files."""
        for file in self.unmatched:
            yield f"{file} fits no image by its name. Name it by the id of its image, or by the file of the release."
        for case_id, files in self.repeated.items():
            yield f"{', '.join(map(str, files))} are of one image, {case_id}. Keep one of them."


def match(files: Sequence[PurePosixPath], cases: Sequence[Case]) -> Matching:
    """Match files to images by the names of the files alone, whatever folders they lie in.

    A file has the id of its image, with or without `_mask` (`cases.pairing` says what else), or the name that the image
    has within its source, as in a release, where no other image has that name.

    >>> case = Case("bus-bra bus_0001-l", "benign", image=None, masks=(), source="bus-bra")
    >>> match([PurePosixPath("mask_0001-l.png"), PurePosixPath("x.png")], [case])
    Matching(file_of={'bus-bra bus_0001-l': PurePosixPath('mask_0001-l.png')}, unmatched=[PurePosixPath('x.png')], \
repeated={})
    """
    id_of = ids_by_name({case.id: case.source for case in cases})
    files_at = defaultdict(list)
    for file in files:
        files_at[PurePosixPath("masks", f"{_stem(file)}.png")].append(file)
    pairing = pair([*(PurePosixPath("images", f"{name}.png") for name in id_of), *files_at])
    files_of = defaultdict(list)
    for image, masks in pairing.masks.items():
        for mask in masks:
            files_of[id_of[image.stem]] += files_at[mask]
    matched = {file for of_image in files_of.values() for file in of_image}
    return Matching(
        {case_id: of_image[0] for case_id, of_image in files_of.items() if len(of_image) == 1},
        [file for file in files if file not in matched],
        {case_id: of_image for case_id, of_image in files_of.items() if len(of_image) > 1},
    )


def ids_by_name(source_of: Mapping[str, str]) -> dict[str, str]:
    """Return the ids of images by the names that files may give them; `source_of` has the source of each by id.

    >>> ids_by_name({"bus-bra bus_0001-l": "bus-bra"})
    {'bus_0001-l': 'bus-bra bus_0001-l', 'bus-bra bus_0001-l': 'bus-bra bus_0001-l'}
    """
    short = {case_id: case_id.removeprefix(f"{source} ") for case_id, source in source_of.items()}
    times = Counter(short.values())
    by_short = {name: case_id for case_id, name in short.items() if times[name] == 1}
    return by_short | {case_id: case_id for case_id in source_of}


def _stem(file: PurePosixPath) -> str:
    """Return the name of a file without its suffix, if it has one; ids may hold dots."""
    return _ARRAY.sub("", name_without_suffix(Path(file)))
