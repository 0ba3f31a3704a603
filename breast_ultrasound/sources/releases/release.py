"""What a release is, and the steps that all of them share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from breast_ultrasound.cases.images import read_grey, read_mask
from breast_ultrasound.cases.raw import Case, image_file, mask_file, write_pictures
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.system_files import is_system_file
from breast_ultrasound.sources.archive import open_archive
from breast_ultrasound.sources.manifest import check_release


@dataclass(frozen=True)
class Release:
    """A public data set.

    `name` stands for it in params.yaml and, but for BUSI, in front of its ids and patients. `download` returns its
    archive, `find_root` the folder in it from which the paths of `manifest` count, and `copy` writes the cases of that
    folder to another one and returns them.
    """

    name: str
    title: str
    page: str
    licence: str
    citation: str
    manifest: Path
    download: Callable[[], Path]
    find_root: Callable[[Path], Path]
    copy: Callable[[Path, Path], list[Case]]


@dataclass(frozen=True)
class Published:
    """An image as a release publishes it, and its only mask, whose size may be another one.

    `fold` tests it in the split that the release publishes, if any.
    """

    image: Path
    mask: Path
    cls: str
    id: str
    patient: str
    device: str = ""
    birads: str = ""
    fold: int | None = None


def copy_from_archive(release: Release, archive: Path | None, folder: Path, max_gib: float) -> list[Case]:
    """Copy the verified cases of a release to `folder`, from a local zip or folder, or else from its publisher.

    UserError where it can't be fetched, and naming the files that differ from the release.
    """
    with open_archive(archive or release.download(), folder.parent, max_gib) as unpacked:
        root = release.find_root(unpacked)
        check_release(root, release.manifest, release.title)
        return release.copy(root, folder)


def find_table_folder(name: str, folder: Path) -> Path:
    """Return the folder that holds the table `name`, `folder` or one somewhere below it; UserError unless it is one."""
    tables = [path for path in folder.rglob(name) if not is_system_file(path, folder)]
    if len(tables) != 1:
        raise UserError(
            f"{folder}: holds {len(tables) or 'no'} files {name}, one is needed. Name the archive as published."
        )
    return tables[0].parent


def copy_published(images: Iterable[Published], folder: Path) -> list[Case]:
    """Write images as grey and masks as black and white PNG files below `folder`, and return their cases."""
    listed = list(images)
    for cls in {image.cls for image in listed}:
        (folder / cls).mkdir(exist_ok=True)
    return list(map_on_all_machines(partial(_copy, folder), listed, "copy", len(listed)))


def _copy(folder: Path, published: Published) -> Case:
    case = Case(
        id=published.id,
        cls=published.cls,
        image=image_file(folder, published.cls, published.id),
        masks=(mask_file(folder, published.cls, published.id, 0),),
        patient=published.patient,
        device=published.device,
        birads=published.birads,
        fold=published.fold,
    )
    image = read_grey(published.image)
    write_pictures(case, image, [_fit(read_mask(published.mask), *image.shape)])
    return case


def _fit(mask: Mask, height: int, width: int) -> Mask:
    """Stretch a mask bool to [height, width]."""
    stretched = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(stretched, bool)
