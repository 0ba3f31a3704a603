"""Read outlines of lesions in a COCO file, polygons or run lengths, as CVAT, Label Studio and Roboflow export them."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pycocotools import mask as coco_mask
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from breast_ultrasound.cases.names import decode_percent, normalise
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import no_switch
from breast_ultrasound.sources.run_lengths import unpack

_MOST_PROBLEMS = 5

# Each lesion becomes a mask of the size of the image.
_MOST_LESIONS = 1000

# What Label Studio puts before the name of a file that is uploaded to it.
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")

ImageId = Annotated[int | str, BeforeValidator(no_switch)]
Polygon = Annotated[list[float], Field(min_length=6)]


class RunLengths(BaseModel):
    """A mask as lengths of runs down the columns, as numbers or packed into text; `size` is height and width."""

    counts: list[Annotated[int, Field(ge=0)]] | str
    size: tuple[int, int]


class Annotation(BaseModel):
    """One lesion: the corners x, y, x, y, … of its parts in pixels, or run lengths."""

    image_id: ImageId
    segmentation: Annotated[list[Polygon], Field(min_length=1)] | RunLengths


class Image(BaseModel):
    """An image by its name and size."""

    id: ImageId
    file_name: str
    height: int
    width: int


class Coco(BaseModel):
    """The part of a COCO file that is read; every annotation is a lesion, whatever its category."""

    images: list[Image]
    annotations: list[Annotation]


@dataclass(frozen=True)
class ImageOutlines:
    """What a COCO file holds of an image: its entries, of which there should be one, and the lesions of that one."""

    image: PurePosixPath
    entries: list[Image]
    lesions: list[list[Polygon] | RunLengths]

    def draw(self, height: int, width: int) -> list[Mask]:
        """Draw a mask bool [height, width], the size of the image, for each lesion.

        UserError where there is no entry or more than one, where the entry is of another size, and where an outline
        cannot be drawn.
        """
        if len(self.entries) != 1:
            raise UserError(
                f"has {len(self.entries) or 'no'} entries for {self.image}; one is needed, by its path or its name."
            )
        [entry] = self.entries
        if (entry.height, entry.width) != (height, width):
            raise UserError(f"has {entry.file_name} at {entry.width}×{entry.height} pixels, it has {width}×{height}.")
        if len(self.lesions) > _MOST_LESIONS:
            raise UserError(f"has {len(self.lesions)} annotations of {entry.file_name}, more than {_MOST_LESIONS}.")
        return [_draw(lesion, entry) for lesion in self.lesions]


class Outlines:
    """The outlines of a COCO file by image; the paths of images count from the folder `root`.

    `images` are the paths of its entries, as it has them.
    """

    def __init__(self, coco: Coco, root: Path) -> None:
        self.images = [PurePosixPath(image.file_name) for image in coco.images]
        self._root = root
        self._entries_at: dict[PurePosixPath, list[Image]] = defaultdict(list)
        self._lesions_of: dict[int | str, list[list[Polygon] | RunLengths]] = defaultdict(list)
        for image in coco.images:
            paths = {normalise(image.file_name), decode_percent(image.file_name)}
            names = {path.name for path in paths}
            names |= {_UPLOADED.sub("", name, count=1) for name in names if _UPLOADED.match(name)}
            for path in {*paths, *map(PurePosixPath, names)}:
                self._entries_at[path].append(image)
        for annotation in coco.annotations:
            self._lesions_of[annotation.image_id].append(annotation.segmentation)

    def of(self, image: PurePosixPath) -> ImageOutlines:
        """Return the outlines of an image: of the entry with its path, or else with its name alone.

        Names are compared as `find_files` has it, with or without what Label Studio puts before them.
        """
        path = normalise(image)
        entries = self._of_path(image, path) or self._of_path(image, PurePosixPath(path.name))
        lesions = self._lesions_of.get(entries[0].id, []) if len(entries) == 1 else []
        return ImageOutlines(image, entries, lesions)

    def _of_path(self, image: PurePosixPath, path: PurePosixPath) -> list[Image]:
        """Return the entries whose path, or else whose name, is `path`."""
        entries = self._entries_at.get(path, [])
        by_path = [entry for entry in entries if path in (normalise(entry.file_name), decode_percent(entry.file_name))]
        entries = by_path or entries
        literal = [entry for entry in entries if normalise(entry.file_name).name == path.name]
        beside = (self._root / image).parent
        return literal or [entry for entry in entries if not (beside / normalise(entry.file_name).name).exists()]


def read_coco(path: Path, root: Path) -> Outlines:
    """Read a COCO file of images below `root`; UserError names what is wrong with it."""
    try:
        coco = Coco.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise UserError(
            f"is not a COCO file with outlines: {'; '.join(problems[:_MOST_PROBLEMS])}{more}. Export polygons or "
            "masks; boxes alone have no outline."
        ) from error
    _check_ids(coco)
    return Outlines(coco, root)


def _check_ids(coco: Coco) -> None:
    """Refuse image ids that several images have, and annotations of images that are not there."""
    times = Counter(image.id for image in coco.images)
    for image in coco.images:
        if times[image.id] > 1:
            raise UserError(f"has the image id {image.id!r} {times[image.id]} times, first of {image.file_name}.")
    for number, annotation in enumerate(coco.annotations):
        if annotation.image_id not in times:
            raise UserError(f"has no image of the id {annotation.image_id!r}, that of annotations.{number}.image_id.")


def _draw(lesion: list[Polygon] | RunLengths, image: Image) -> Mask:
    if isinstance(lesion, RunLengths):
        try:
            if lesion.size != (image.height, image.width):
                raise ValueError("of another size")
            return unpack(lesion.counts, *lesion.size)
        except ValueError as error:
            raise UserError(
                f"has run lengths of {image.file_name} that don't fill {image.width}×{image.height} pixels."
            ) from error
    if any(len(polygon) % 2 for polygon in lesion):
        raise UserError(f"has a polygon of {image.file_name} with an x without its y.")
    if not all(_is_near(polygon, image) for polygon in lesion):
        raise UserError(f"has a polygon of {image.file_name} that leads far outside of it, or nowhere.")
    # The library takes more than its type hints say.
    polygons: Any = lesion
    parts: Any = coco_mask.frPyObjects(polygons, image.height, image.width)
    return np.asarray(coco_mask.decode(coco_mask.merge(parts)), bool)


def _is_near(polygon: Polygon, image: Image) -> bool:
    """Return whether all corners lie in the image or at most its own size beside it; NaN lies nowhere."""
    across = (-image.width <= x <= 2 * image.width for x in polygon[::2])
    return all(chain(across, (-image.height <= y <= 2 * image.height for y in polygon[1::2])))
