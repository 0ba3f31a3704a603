"""Read class folders, BUSI's layout: `<class>/<class> (<n>).png`, masks `<class> (<n>)_mask.png`, `_mask_1.png`, …"""

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
from breast_ultrasound.pipeline.system_files import is_system_file

_FILE_NAME = re.compile(r"(?P<id>(?P<cls>[a-z]+) \((?P<number>\d+)\))(?P<mask>_mask(?:_(?P<part>\d+))?)?\.png")


def find_root(folder: Path) -> Path:
    """Return the folder that holds the class folders: `folder` or, as in the published archive, one somewhere below it.

    UserError where there is none or more than one.
    """
    roots = {
        path.parent
        for cls in LABELS
        for path in folder.rglob(cls)
        if path.is_dir() and not is_system_file(path, folder)
    }
    if len(roots) != 1:
        places = ", ".join(sorted(str(root.relative_to(folder)) for root in roots)) or "none"
        raise UserError(
            f"{folder}: expected the class folders {', '.join(LABELS)} in one place, there are {places}. "
            "The layout is `benign/benign (1).png` with `benign/benign (1)_mask.png`."
        )
    return roots.pop()


def list_cases(root: Path) -> list[Case]:
    """List the cases in class folders, sorted by class and number.

    UserError for an unknown class folder, an empty one, a file whose name differs from the layout, an image without a
    mask and a mask without an image. Plain files beside the class folders are ignored.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not is_system_file(path, root))
    for folder in folders:
        if folder.name not in LABELS:
            raise UserError(
                f"{folder}: unknown class folder; the classes are {', '.join(LABELS)}. Rename or remove it."
            )
    cases = [case for folder in folders for case in _scan_class(folder)]
    if not cases:
        raise UserError(f"{root}: holds none of the class folders {', '.join(LABELS)}.")
    return cases


def copy_class_folders(source: Path, folder: Path) -> list[Case]:
    """Copy the class folders below `source` to `folder`, and decode every file.

    UserError where there are none, for a file that is unreadable or a mask of another size, and naming all normal
    images with a lesion.
    """
    cases = [_copy(case, folder) for case in list_cases(find_root(source))]
    lesions = map_on_all_machines(_shows_lesion, cases, "check")
    wrong = [case for case, lesion in zip(cases, lesions, strict=True) if lesion and case.cls == "normal"]
    if wrong:
        raise UserError(
            f"{', '.join(f'{case.cls}/{case.image.name}' for case in wrong)}: filed as normal, but the mask shows a "
            "lesion. Make the mask all black, or file the image under another class."
        )
    return cases


def _copy(case: Case, folder: Path) -> Case:
    """Copy a case to another folder and return it, its masks numbered without gaps."""
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
        if is_system_file(path, folder):
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
            raise UserError(f"{path}: the number {number} occurs twice, also as {images[number].name}. Remove one.")
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
