"""Read outlines of lesions in a COCO file, polygons or run lengths, as CVAT, Label Studio and Roboflow export them."""

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pycocotools import mask as coco_mask
from pydantic import BaseModel, Field, ValidationError

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError

_MOST_PROBLEMS = 5

Polygon = Annotated[list[float], Field(min_length=6)]


class RunLengths(BaseModel):
    """A mask as lengths of runs down the columns, as numbers or packed into text; `size` is height and width."""

    counts: list[Annotated[int, Field(ge=0)]] | str
    size: tuple[int, int]


class Annotation(BaseModel):
    """One lesion: the corners x, y, x, y, … of its parts in pixels, or run lengths."""

    image_id: int | str
    segmentation: Annotated[list[Polygon], Field(min_length=1)] | RunLengths


class Image(BaseModel):
    """An image by its name and size."""

    id: int | str
    file_name: str
    height: int
    width: int


class Coco(BaseModel):
    """The part of a COCO file that is read; every annotation is a lesion, whatever its category."""

    images: list[Image]
    annotations: list[Annotation]


class Outlines:
    """The outlines of a COCO file by image."""

    def __init__(self, coco: Coco) -> None:
        self._by_path: dict[PurePosixPath, list[Image]] = defaultdict(list)
        self._by_name: dict[str, list[Image]] = defaultdict(list)
        self._of_image: dict[int | str, list[list[Polygon] | RunLengths]] = defaultdict(list)
        for image in coco.images:
            path = PurePosixPath(image.file_name)
            self._by_path[path].append(image)
            self._by_name[path.name].append(image)
        for annotation in coco.annotations:
            self._of_image[annotation.image_id].append(annotation.segmentation)

    def holds(self, path: PurePosixPath) -> bool:
        """Return whether exactly one entry is that of an image."""
        return len(self._entries(path)) == 1

    def of(self, path: PurePosixPath) -> "Outlines":
        """Return the outlines of one image alone, which are little to send to another machine."""
        entries = self._entries(path)
        outlines = Outlines(Coco(images=entries, annotations=[]))
        of_entries = {entry.id: self._of_image[entry.id] for entry in entries if entry.id in self._of_image}
        outlines._of_image.update(of_entries)
        return outlines

    def draw(self, path: PurePosixPath) -> list[Mask]:
        """Draw a mask bool [height, width] for each annotation of an image.

        The entry of the image is the one with its path relative to the case table, or else with its name alone.
        UserError where there is none, where there is more than one, and where an outline cannot be drawn.
        """
        entries = self._entries(path)
        if len(entries) != 1:
            raise UserError(f"has {len(entries) or 'no'} entries for {path}; one is needed, by its path or its name.")
        return [_draw(segmentation, entries[0]) for segmentation in self._of_image.get(entries[0].id, [])]

    def _entries(self, path: PurePosixPath) -> list[Image]:
        return self._by_path.get(path) or self._by_name.get(path.name, [])


def read_coco(path: Path) -> Outlines:
    """Read a COCO file; UserError names what is wrong with it."""
    try:
        return Outlines(Coco.model_validate_json(path.read_bytes()))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise UserError(
            f"is not a COCO file with outlines: {'; '.join(problems[:_MOST_PROBLEMS])}{more}. Export polygons or "
            "masks; boxes alone have no outline."
        ) from error


def _draw(segmentation: list[Polygon] | RunLengths, image: Image) -> Mask:
    if isinstance(segmentation, RunLengths):
        return _unpack(segmentation, image)
    if any(len(polygon) % 2 for polygon in segmentation):
        raise UserError(f"has a polygon of {image.file_name} with an x without its y.")
    # The library takes more than its type hints say.
    polygons: Any = segmentation
    parts: Any = coco_mask.frPyObjects(polygons, image.height, image.width)
    return np.asarray(coco_mask.decode(coco_mask.merge(parts)), bool)


def _unpack(lengths: RunLengths, image: Image) -> Mask:
    broken = UserError(f"has run lengths of {image.file_name} that don't fill {image.width}×{image.height} pixels.")
    if lengths.size != (image.height, image.width):
        raise broken
    packed: Any = {"size": list(lengths.size), "counts": lengths.counts}
    if isinstance(lengths.counts, list):
        if sum(lengths.counts) != image.height * image.width:
            raise broken
        packed = coco_mask.frPyObjects(packed, image.height, image.width)
    try:
        return np.asarray(coco_mask.decode(packed), bool)
    except ValueError as error:
        raise broken from error
