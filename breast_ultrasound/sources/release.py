"""The BUSI release layout: `<class>/<class> (<n>).png` with its masks `<class> (<n>)_mask.png`, `_mask_1.png`, …"""

import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from breast_ultrasound.cases.classes import LABELS
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import Case, image_file, mask_file, read_merged_mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.litter import is_litter

_FILE_NAME = re.compile(r"(?P<id>(?P<cls>[a-z]+) \((?P<number>\d+)\))(?P<mask>_mask(?:_(?P<part>\d+))?)?\.png")


def find_root(folder: Path) -> Path:
    """The folder that holds the class folders: `folder` or, as in the published archive, one somewhere below it.

    UserError where there is none or more than one.
    """
    roots = {
        path.parent for cls in LABELS for path in folder.rglob(cls) if path.is_dir() and not is_litter(path, folder)
    }
    if len(roots) != 1:
        found = "none" if not roots else ", ".join(sorted(str(root.relative_to(folder)) for root in roots))
        raise UserError(
            f"{folder}: expected the class folders {', '.join(LABELS)} in one place, found {found}. "
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
        if folder.name not in LABELS:
            raise UserError(
                f"{folder}: unknown class folder; the classes are {', '.join(LABELS)}. Rename or remove it."
            )
    cases = [case for folder in folders for case in _scan_class(folder)]
    if not cases:
        raise UserError(f"{root}: holds none of the class folders {', '.join(LABELS)}.")
    return cases


def copy_release(source: Path, folder: Path) -> list[Case]:
    """Copy the class folders found below `source` to `folder`, and decode every file.

    UserError where there are none, where a file is unreadable or misfits, and naming all normal images with a lesion.
    """
    cases = [_copy(case, folder) for case in scan(find_root(source))]
    lesions = map_on_all_machines(_shows_lesion, cases, "check")
    wrong = [case for case, lesion in zip(cases, lesions, strict=True) if lesion and case.cls == "normal"]
    if wrong:
        raise UserError(
            f"{', '.join(f'{case.cls}/{case.image.name}' for case in wrong)}: filed as normal, but the mask shows a "
            "lesion. Make the mask all black, or file the image under another class."
        )
    return cases


def _copy(case: Case, folder: Path) -> Case:
    """The copy of a case below another folder, its masks numbered without gaps."""
    image = image_file(folder, case.cls, case.id)
    masks = tuple(mask_file(folder, case.cls, case.id, number) for number in range(len(case.masks)))
    image.parent.mkdir(exist_ok=True)
    for source, target in zip((case.image, *case.masks), (image, *masks), strict=True):
        shutil.copyfile(source, target)
    return replace(case, image=image, masks=masks)


def _shows_lesion(case: Case) -> bool:
    height, width = read_grey(case.image).shape
    return bool(read_merged_mask(case, height, width).any())


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
