"""Masks as COCO JSON, which annotation tools import: a person corrects them instead of drawing."""

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from breast_ultrasound.pipeline.arrays import Mask

LESION = {"id": 1, "name": "lesion", "supercategory": ""}


def coco(masks: Iterable[tuple[str, Mask]]) -> dict[str, Any]:
    """Return a COCO data set (https://cocodataset.org/#format-data) of masks by the file names of their images.

    Masks are bool [height, width]. Each connected part becomes an exact annotation, as run lengths; an empty mask
    becomes an image without annotations.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, mask) in enumerate(masks, 1):
        height, width = mask.shape
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for part in _parts(mask):
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": LESION["id"], **part})
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": [LESION]}


def _parts(mask: Mask) -> Iterator[dict[str, Any]]:
    """Yield the geometry of each connected part; all pixels are looked at once, whatever the number of parts."""
    height, width = mask.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    # COCO's run lengths go down the columns.
    columns = np.asarray(labels).ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(columns)) + 1])
    ends = np.append(starts[1:], columns.size)
    of_run = columns[starts]
    order = np.argsort(of_run, kind="stable")
    bounds = np.searchsorted(of_run[order], np.arange(1, len(stats) + 1))
    for part, runs in enumerate(np.split(order, bounds)[1:-1], 1):
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        left, top, box_width, box_height, area = (int(value) for value in stats[part])
        yield {
            "segmentation": {"size": [height, width], "counts": _compressed(edges, height, width)},
            "area": area,
            "bbox": [float(left), float(top), float(box_width), float(box_height)],
            "iscrowd": 0,
        }


def _compressed(edges: NDArray[np.intp], height: int, width: int) -> str:
    """Return COCO's text of a mask, from the places where it begins and ends, down one column after the other."""
    counts = np.diff(edges, prepend=0, append=height * width)
    # A mask that reaches the last pixel is followed by nothing.
    uncompressed: Any = {"size": [height, width], "counts": counts[: None if counts[-1] else -1].tolist()}
    # pycocotools declares neither this form nor that the text is bytes, which JSON cannot hold.
    encoded: Any = rle.frPyObjects(uncompressed, height, width)
    return encoded["counts"].decode()
