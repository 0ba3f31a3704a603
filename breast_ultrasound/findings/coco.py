"""Masks as COCO JSON, which annotation tools import: a person corrects them instead of drawing."""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
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
        parts, labels = cv2.connectedComponents(mask.astype(np.uint8))
        for part in range(1, parts):
            # pycocotools declares the run lengths as text; they are bytes, which JSON cannot hold.
            encoded: Any = rle.encode(np.asfortranarray(labels == part, np.uint8))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": LESION["id"],
                    "segmentation": {"size": [height, width], "counts": encoded["counts"].decode()},
                    "area": int(rle.area(encoded)),
                    "bbox": [float(side) for side in rle.toBbox(encoded)],
                    "iscrowd": 0,
                }
            )
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": [LESION]}
