"""Write a first case table for a folder of images: `uv run cases FOLDER`.

Takes images, DICOM files too, and masks as people keep them: pairs such as `x.png` and `x_mask.png`, folders `images`
and `masks`, class folders, also one in the other; and a COCO file with the outlines of all images. Writes
FOLDER/cases.csv, to be looked at and edited: patients are not guessed, nor is a class that no folder tells, but for
`lesion` where a mask shows one and `normal` where it is empty. Says which images have no mask and which masks no image.
Not part of the pipeline, which takes the table with `data.source: custom`.
"""

import argparse
import csv
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from breast_ultrasound.cases.classes import LABELS, UNTOLD
from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.cases.raw import SEPARATOR, TABLE
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.litter import is_litter
from breast_ultrasound.scans.reading import DICOM, PICTURES, is_dicom
from breast_ultrasound.sources.coco import read_coco

SUFFIXES = PICTURES | DICOM | {".webp"}

_MASK_NAME = re.compile(r"(?P<stem>.+)[ _-](mask|seg|segmentation|label|gt)([ _-]?\d+)?", re.IGNORECASE)
_MASK_FOLDERS = {"mask", "masks", "label", "labels", "gt", "seg", "segmentation", "segmentations"}
_IMAGE_FOLDERS = {"image", "images", "img", "imgs", "original", "originals"}

_UNSAFE = re.compile(r"[^\w .()+-]")


@dataclass(frozen=True)
class Found:
    """Images, the masks of those that have some, and masks without an image; all paths are relative to one folder."""

    images: list[PurePosixPath]
    masks: dict[PurePosixPath, list[PurePosixPath]]
    stray: list[PurePosixPath]


def pair(files: Sequence[PurePosixPath]) -> Found:
    """Tell images and masks apart, by their folders and names, and put them together.

    A mask lies in a folder of masks and has the name of its image, with or without `_mask` and a number, or it lies
    beside its image and has its name with `_mask`.
    """
    image_at = {_place(file): file for file in files if not _in_mask_folder(file)}
    masks, stray = defaultdict(list), []
    for file in files:
        folders, stem = _place(file)
        match = _MASK_NAME.fullmatch(stem)
        image = image_at.get((folders, match["stem"])) if match else None
        if _in_mask_folder(file):
            image = image_at.get((folders, stem), image)
        if image:
            masks[image].append(file)
        elif _in_mask_folder(file):
            stray.append(file)
    apart = {*stray, *itertools.chain(*masks.values())}
    return Found([file for file in files if file not in apart], dict(masks), stray)


def _in_mask_folder(file: PurePosixPath) -> bool:
    return any(part.lower() in _MASK_FOLDERS for part in file.parent.parts)


def _place(file: PurePosixPath) -> tuple[tuple[str, ...], str]:
    """What an image and its mask have in common: the folders but for those that tell the two apart, and the name."""
    dull = _MASK_FOLDERS | _IMAGE_FOLDERS
    return tuple(part for part in file.parent.parts if part.lower() not in dull), file.stem


def name(images: Sequence[PurePosixPath]) -> list[str]:
    """An id for each image: the name of its file, where others have the same one with the folders before it."""
    stems = Counter(image.stem.casefold() for image in images)
    long = (
        image.stem if stems[image.stem.casefold()] == 1 else " ".join(image.with_suffix("").parts) for image in images
    )
    return [_UNSAFE.sub("_", text) for text in long]


def tabulate(folder: Path, found: Found, coco: PurePosixPath | None) -> list[dict[str, str]]:
    """The rows of the table; `coco` is the file that outlines images which have no masks, if there is one."""
    outlines = read_coco(folder / coco) if coco else None

    def row(image: PurePosixPath) -> dict[str, str]:
        masks, drawn = found.masks.get(image, []), []
        if coco and outlines and not masks and outlines.holds(image):
            masks, drawn = [coco], outlines.draw(image)
        cls = next((part.lower() for part in reversed(image.parts) if part.lower() in LABELS), "")
        if masks and not cls:
            shown = drawn if coco in masks else [read_mask(folder / mask) for mask in masks]
            cls = UNTOLD if any(mask.any() for mask in shown) else "normal"
        return {"image": str(image), "masks": SEPARATOR.join(map(str, masks)), "class": cls}

    rows = map_on_all_cores(row, found.images, "read masks")
    return [{"id": case_id} | cells for case_id, cells in zip(name(found.images), rows, strict=True)]


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name, or DICOM by its first bytes where the name has no suffix."""
    return path.suffix.lower() in SUFFIXES or (not path.suffix and is_dicom(path))


def find_files(folder: Path, wanted: Callable[[Path], bool]) -> list[PurePosixPath]:
    """The files that are wanted in a folder and below, sorted, relative to it; litter is let be."""
    files = (path for path in folder.rglob("*") if path.is_file() and wanted(path))
    return sorted(PurePosixPath(path.relative_to(folder).as_posix()) for path in files if not is_litter(path, folder))


def parse() -> Path:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder of the images; the table goes there")
    return parser.parse_args().folder


def tell(rows: Sequence[dict[str, str]], found: Found) -> Iterator[str]:
    """The lines that the command prints."""
    counts = Counter(row["class"] or "no class" for row in rows)
    yield f"{len(rows)} images: " + ", ".join(f"{count} {cls}" for cls, count in sorted(counts.items()))
    open_ends = [row["image"] for row in rows if not row["masks"] and row["class"] != "normal"]
    for told, names in (("images without a mask", open_ends), ("masks without an image", found.stray)):
        if names:
            yield f"{told}: {', '.join(map(str, names))}"


@command
def main() -> None:
    """Write the table of the folder named on the command line."""
    folder = parse()
    table = folder / TABLE
    if table.exists():
        raise UserError(f"{table}: is there already, and may have been edited. Remove it to have a new one.")
    found = pair(find_files(folder, is_image))
    if not found.images:
        raise UserError(f"{folder}: holds no image ({', '.join(sorted(SUFFIXES))}).")
    outlined = find_files(folder, lambda path: path.suffix.lower() == ".json")
    if len(outlined) > 1:
        raise UserError(f"{folder}: holds {len(outlined)} JSON files. Leave the one with the outlines there.")
    rows = tabulate(folder, found, outlined[0] if outlined else None)
    with written_aside(table) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "image", "masks", "class", "patient", "mm_per_pixel"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(tell(rows, found)))
    print(f"written: {table}. Look at it, correct the classes, and fill in patients if they are known.")


if __name__ == "__main__":
    main()
