"""Somebody's split, as it is written: in a file of nnU-Net or MONAI, in a table, or in folders."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from breast_ultrasound.cases.pairing import pair
from breast_ultrasound.cases.pictures import SUFFIXES
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import walk

# What people call the columns of a table, in lower case.
_NAMES = ("id", "image", "image_id", "file", "filename", "file_name", "path", "name")
_PARTS = ("split", "subset", "set", "part", "fold", "kfold")

# Folders whose name says which part of a split lies there.
_PART_FOLDER = re.compile(r"(images?)?(tr|ts|train(ing)?|val(id(ation)?)?|test(ing)?)|k?fold[ _-]?\d+", re.IGNORECASE)
_IN_NO_FOLD = {"", "-1"}


@dataclass(frozen=True)
class Member:
    """An image as a split names it, `name`, and its part, such as `train`; `split` tells several splits apart.

    `file` is the image where the split is made of folders.
    """

    name: str
    part: str
    split: str = ""
    file: Path | None = None


def read_split(path: Path) -> list[Member]:
    """Read a split: splits_final.json of nnU-Net, a datalist of MONAI, a CSV table, or a folder with one for each part.

    UserError where it is none of these, or holds a single part.
    """
    if not path.exists():
        raise UserError(f"{path}: not found. Name the file or the folder of a split.")
    if path.is_dir():
        members = list(_of_folder(path))
    elif path.suffix.lower() == ".json":
        members = list(_of_json(path))
    elif path.suffix.lower() == ".csv":
        members = list(_of_table(path))
    else:
        raise UserError(f"{path}: is no folder and neither .json nor .csv. Name a split.")
    parts = sorted({member.part for member in members})
    if len(parts) < 2:
        raise UserError(f"{path}: holds {'the part ' + parts[0] + ' alone' if parts else 'no image'}. Name a split.")
    return members


def _of_json(path: Path) -> Iterator[Member]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if isinstance(content, list):
            for number, parts in enumerate(content):
                yield from _of_parts(parts, f"split {number}")
        else:
            lists = {part: items for part, items in content.items() if isinstance(items, list)}
            yield from _of_parts(lists, "")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: not a split as nnU-Net (a list of `train` and `val`) or MONAI (lists of images by part) write it."
        ) from error


def _of_parts(parts: dict[str, list[Any]], split: str) -> Iterator[Member]:
    """Yield the images of each part; an item is a name, or has an `image` and possibly a `fold`."""
    for part, items in parts.items():
        for item in items:
            if isinstance(item, str):
                yield Member(item, part, split)
            else:
                yield Member(str(item["image"]), f"fold {item['fold']}" if "fold" in item else part, split)


def _of_table(path: Path) -> Iterator[Member]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python")
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a table of comma-separated values in UTF-8. Save it as one.") from error
    columns = {str(name).strip().lower(): str(name) for name in table.columns}
    names, parts = ([columns[name] for name in choices if name in columns] for choices in (_NAMES, _PARTS))
    if not names or len(parts) != 1:
        raise UserError(
            f"{path}: needs a column of images ({', '.join(_NAMES)}) and one of parts ({', '.join(_PARTS)}); its "
            f"columns are {', '.join(map(str, table.columns))}."
        )
    is_fold = "fold" in parts[0].lower()
    for name, part in zip(table[names[0]], table[parts[0]].str.strip(), strict=True):
        if part not in _IN_NO_FOLD:
            yield Member(name.strip(), f"fold {part}" if is_fold else part)


def _of_folder(root: Path) -> Iterator[Member]:
    files = [path.relative_to(root) for path in walk(root) if path.suffix.lower() in SUFFIXES]
    images = pair([PurePosixPath(file.as_posix()) for file in files]).images
    parts = [next(filter(_PART_FOLDER.fullmatch, image.parent.parts), "") for image in images]
    outside = [image for image, part in zip(images, parts, strict=True) if not part]
    if outside:
        raise UserError(
            f"{root}: {len(outside)} images are in no folder of a part, such as {outside[0]}. Name folders train, val, "
            "test, or fold_0, fold_1 …"
        )
    for image, part in zip(images, parts, strict=True):
        yield Member(str(image), part, file=root / image)
