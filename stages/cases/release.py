"""The BUSI release layout: `<class>/<class> (<n>).png` with its masks `<class> (<n>)_mask.png`, `_mask_1.png`, …"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from stages.cases.classes import CLASSES
from stages.cases.images import merge_masks, read_mask
from stages.pipeline.arrays import Mask
from stages.pipeline.errors import UserError

RAW = Path("data/raw")

_FILE_NAME = re.compile(r"(?P<id>(?P<cls>[a-z]+) \((?P<number>\d+)\))(?P<mask>_mask(?:_(?P<part>\d+))?)?\.png")
_LITTER = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """One image of a release and its masks, at least one; `id` is the file stem, such as `benign (12)`."""

    id: str
    cls: str
    image: Path
    masks: tuple[Path, ...]


def is_litter(path: Path, folder: Path) -> bool:
    """Whether a path below `folder` is or lies in what operating systems leave there: `._a.png`, `__MACOSX`, …"""
    return any(_LITTER.fullmatch(part) for part in path.relative_to(folder).parts)


def find_root(folder: Path) -> Path:
    """The folder that holds the class folders: `folder` or, as in the published archive, one somewhere below it.

    UserError where there is none or more than one.
    """
    roots = {
        path.parent for cls in CLASSES for path in folder.rglob(cls) if path.is_dir() and not is_litter(path, folder)
    }
    if len(roots) != 1:
        found = "none" if not roots else ", ".join(sorted(str(root.relative_to(folder)) for root in roots))
        raise UserError(
            f"{folder}: expected the class folders {', '.join(CLASSES)} in one place, found {found}. "
            "The layout is `benign/benign (1).png` with `benign/benign (1)_mask.png`."
        )
    return roots.pop()


def scan(root: Path) -> list[Case]:
    """The cases of a release, sorted by class and number.

    UserError for an unknown class folder, an empty one, a file whose name doesn't fit the layout, an image without a
    mask and a mask without an image; plain files beside the class folders are let be.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not is_litter(path, root))
    for folder in folders:
        if folder.name not in CLASSES:
            raise UserError(
                f"{folder}: unknown class folder; the classes are {', '.join(CLASSES)}. Rename or remove it."
            )
    cases = [case for folder in folders for case in _scan_class(folder)]
    if not cases:
        raise UserError(f"{root}: holds none of the class folders {', '.join(CLASSES)}.")
    return cases


def read_merged_mask(case: Case, height: int, width: int) -> Mask:
    """All masks of a case merged: bool [height, width]; UserError where one has another size."""
    masks = [read_mask(path) for path in case.masks]
    for path, mask in zip(case.masks, masks, strict=True):
        if mask.shape != (height, width):
            found = f"{mask.shape[1]}×{mask.shape[0]}"
            raise UserError(f"{path}: is {found} pixels, its image {width}×{height}. Replace the one that is wrong.")
    return merge_masks(masks)


def _scan_class(folder: Path) -> list[Case]:
    images: dict[int, Path] = {}
    masks: dict[int, list[tuple[int, Path]]] = defaultdict(list)
    for path in folder.iterdir():
        if is_litter(path, folder):
            continue
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or match["cls"] != folder.name:
            raise UserError(
                f"{path}: not a name of this layout, such as `{folder.name} (1).png` or `{folder.name} (1)_mask.png`. "
                "Rename or remove it."
            )
        number = int(match["number"])
        if match["mask"]:
            masks[number].append((int(match["part"] or 0), path))
        elif number in images:
            raise UserError(f"{path}: the number {number} is there twice, also as {images[number].name}. Remove one.")
        else:
            images[number] = path
    if not images and not masks:
        raise UserError(f"{folder}: is empty. Add its images, or remove the folder if there are none of this class.")
    for number in sorted(images.keys() - masks.keys()):
        raise UserError(f"{images[number]}: has no mask. Add {images[number].stem}_mask.png (all black if normal).")
    for number in sorted(masks.keys() - images.keys()):
        raise UserError(f"{masks[number][0][1]}: has no image. Add {folder.name} ({number}).png or remove the mask.")
    return [
        Case(images[number].stem, folder.name, images[number], tuple(path for _, path in sorted(masks[number])))
        for number in sorted(images)
    ]
