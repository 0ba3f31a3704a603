"""Data and folds in the formats of other software.

Images are grey and masks merged, 0 and 1, both on the native pixel grid. Images that no fold uses are in the table of
folds alone, with the reason.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from breast_ultrasound.cases.images import read_grey, write_png
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.commands.folds.table import Folds
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write, write_json

_TABLE = "folds.csv"

# nnU-Net looks for data sets by their number.
_DATASET = re.compile(r"Dataset\d{3}_\w+")


def write_csv(folds: Folds, out: Path) -> None:
    """Write the table of folds to the file `out`, in the same bytes on every system."""
    with atomic_write(out) as aside:
        folds.table.to_csv(aside, index=False, lineterminator="\n")


def write_nnunet(folds: Folds, out: Path) -> None:
    """Write a data set of nnU-Net v2 to the new folder `out`; UserError where nnU-Net would not read its name.

    Split k of splits_final.json has fold k as `val` and all other folds as `train`.
    """
    if not _DATASET.fullmatch(out.name):
        raise UserError(f"{out}: nnU-Net reads folders with names such as Dataset501_BUSI. Name one like that.")
    with atomic_write(out) as folder:
        used = _write_folder(folds, folder, "imagesTr/{}_0000.png", "labelsTr/{}.png")
        numbers = sorted({fold for _, fold in used})
        splits = [
            {
                "train": [case.id for case, fold in used if fold != number],
                "val": [case.id for case, fold in used if fold == number],
            }
            for number in numbers
        ]
        write_json(folder / "splits_final.json", splits)
        about = {
            "channel_names": {"0": "ultrasound"},
            "labels": {"background": 0, "lesion": 1},
            "numTraining": len(used),
            "file_ending": ".png",
            "overwrite_image_reader_writer": "NaturalImage2DIO",
        }
        write_json(folder / "dataset.json", {"name": out.name, **_describe(folds), **about})


def write_monai(folds: Folds, out: Path) -> None:
    """Write a new folder `out` with the datalist of MONAI and Auto3DSeg, whose `fold` is the one that is held out."""
    with atomic_write(out) as folder:
        used = _write_folder(folds, folder, "images/{}.png", "labels/{}.png")
        training = [
            {
                "image": f"images/{case.id}.png",
                "label": f"labels/{case.id}.png",
                "fold": fold,
                "id": case.id,
                "class": case.cls,
            }
            for case, fold in used
        ]
        about = {"labels": {"0": "background", "1": "lesion"}, "numTraining": len(used)}
        write_json(folder / "datalist.json", {**_describe(folds), **about, "training": training})


# By the name of a format, what writes it to a file or a folder that is not there yet.
FORMATS: dict[str, Callable[[Folds, Path], None]] = {"nnunet": write_nnunet, "monai": write_monai, "csv": write_csv}


def _write_folder(folds: Folds, folder: Path, image: str, label: str) -> list[tuple[Case, int]]:
    """Write the table, and the pictures that folds use to paths with their id; return the cases with their folds."""
    used = folds.used()
    for name in (image, label):
        (folder / name).parent.mkdir(parents=True)
    write = partial(_write_pictures, folder, image, label)
    list(map_on_all_cores(write, [case for case, _ in used], "write"))
    write_csv(folds, folder / _TABLE)
    return used


def _write_pictures(folder: Path, image: str, label: str, case: Case) -> None:
    pixels = read_grey(case.image)
    write_png(folder / image.format(case.id), pixels)
    write_png(folder / label.format(case.id), read_merged_mask(case, *pixels.shape).astype(np.uint8))


def _describe(folds: Folds) -> dict[str, Any]:
    """Return what the sources of the images are, in the words that both formats have for it."""
    return {
        "description": f"Lesions in breast ultrasound: {', '.join(source.name for source in folds.sources)}",
        "reference": " ".join(source.citation for source in folds.sources),
        "licence": " ".join(f"{source.name}: {source.licence}" for source in folds.sources if source.licence),
    }
