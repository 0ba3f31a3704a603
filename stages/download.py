"""Bring the images and masks to data/raw, in the release layout, and verify them.

data.source in params.yaml says from where: the built-in phantom, BUSI from Kaggle or a local copy, or other data.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import cv2
import pandas as pd
from pydantic import Field, model_validator

from stages.cases.classes import CLASSES
from stages.cases.images import read_grey
from stages.cases.release import RAW, Case, find_root, read_merged_mask, scan
from stages.pipeline.engine import map_on_all_cores
from stages.pipeline.errors import UserError, command
from stages.pipeline.files import written_aside
from stages.pipeline.params import Positive, Section, Seed, load
from stages.sources import manifest, phantom
from stages.sources.archive import extract

BUSI_ON_KAGGLE = "aryashah2k/breast-ultrasound-images-dataset/versions/1"


class Data(Section):
    """Where the images come from."""

    source: Literal["phantom", "busi", "custom"]
    archive: Annotated[str, Field(min_length=1)] | None
    max_gib: Positive
    phantom_images: Annotated[int, Field(ge=20)]

    @model_validator(mode="after")
    def _check_archive(self) -> "Data":
        if self.source == "custom" and self.archive is None:
            raise ValueError("archive: source custom needs the path of a zip or folder")
        if self.source == "phantom" and self.archive is not None:
            raise ValueError("archive: source phantom takes none; set source to busi or custom, or archive to null")
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: Data


def write_phantom(folder: Path, images: int, seed: int) -> None:
    """Draw the phantom data set, and write what was planted where to planted.csv."""
    plans = phantom.plan(images, seed)
    for cls in CLASSES:
        (folder / cls).mkdir()
    pictures = map_on_all_cores(lambda planned: phantom.draw(planned, seed), plans, "draw")
    for planned, picture in zip(plans, pictures, strict=True):
        stem = folder / planned.cls / planned.id
        cv2.imwrite(f"{stem}.png", picture.image)
        for number, mask in enumerate(picture.masks):
            cv2.imwrite(f"{stem}_mask{f'_{number}' if number else ''}.png", mask.astype("uint8") * 255)
    rows = [{"id": p.id, "class": p.cls, "frame": p.frame, "repeat": p.repeat, "marks": p.marks} for p in plans]
    pd.DataFrame(rows).to_csv(folder / "planted.csv", index=False)


def fetch_busi() -> Path:
    """Download BUSI from Kaggle to the cache of kagglehub, and return the folder; UserError without a network."""
    # Importing it is slow, and most runs don't need it.
    import kagglehub  # noqa: PLC0415
    from kagglehub.exceptions import BackendError, DataCorruptionError, KaggleApiHTTPError  # noqa: PLC0415

    try:
        return Path(kagglehub.dataset_download(BUSI_ON_KAGGLE))
    except (OSError, BackendError, DataCorruptionError, KaggleApiHTTPError) as error:
        raise UserError(
            f"BUSI could not be downloaded from Kaggle ({type(error).__name__}). Check the network, or set "
            "data.archive to the path of a zip or folder that you fetched some other way, or data.source to phantom."
        ) from error


def copy_release(source: Path, folder: Path, max_gib: float) -> None:
    """Put the class folders found in `source`, a zip or a folder, into `folder`; UserError where there are none."""
    if not source.exists():
        raise UserError(f"data.archive: {source} does not exist.")
    if source.is_dir():
        shutil.copytree(find_root(source), folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as unpacked:
        extract(source, Path(unpacked), max_gib)
        for item in find_root(Path(unpacked)).iterdir():
            shutil.move(item, folder / item.name)


def shows_lesion(case: Case) -> bool:
    """Whether the masks of an image hold a lesion; UserError where a file is unreadable or their sizes differ."""
    height, width = read_grey(case.image).shape
    return bool(read_merged_mask(case, height, width).any())


def check(cases: list[Case]) -> None:
    """Decode every file; UserError where one is unreadable or misfits, and naming all normal images with a lesion."""
    lesions = map_on_all_cores(shows_lesion, cases, "check")
    wrong = [case for case, lesion in zip(cases, lesions, strict=True) if lesion and case.cls == "normal"]
    if wrong:
        raise UserError(
            f"{', '.join(f'{case.cls}/{case.image.name}' for case in wrong)}: filed as normal, but the mask shows a "
            "lesion. Make the mask all black, or file the image as benign or malignant."
        )


def bring(data: Data, seed: int, folder: Path) -> None:
    """Fill `folder` from the source that `data` names, and verify what came."""
    if data.source == "phantom":
        write_phantom(folder, data.phantom_images, seed)
        return
    copy_release(Path(data.archive) if data.archive else fetch_busi(), folder, data.max_gib)
    cases = scan(folder)
    check(cases)
    if data.source == "busi":
        manifest.check(cases, manifest.BUSI)
    counts = pd.Series([case.cls for case in cases]).value_counts().sort_index()
    print(f"{len(cases)} images: " + ", ".join(f"{count} {cls}" for cls, count in counts.items()))


@command
def main() -> None:
    """Fill data/raw."""
    loaded = load(Params)
    with written_aside(RAW) as folder:
        folder.mkdir()
        bring(loaded.data, loaded.seed, folder)


if __name__ == "__main__":
    main()
