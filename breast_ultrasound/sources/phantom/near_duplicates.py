"""Export a frame once more: cropped, rescaled, with other gain, mirrored, as it is, or with other marks."""

from typing import Literal

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.sources.phantom.picture import DrawnImage

# How a near-duplicate differs from the first export of its frame; empty for that first export.
Kind = Literal["", "exact", "crop", "rescale", "gain", "mirror", "marks"]
KINDS: tuple[Kind, ...] = ("exact", "crop", "rescale", "gain", "mirror", "marks")


def export_again(picture: DrawnImage, kind: Kind, rng: np.random.Generator) -> DrawnImage:
    """Return the frame changed as its kind of near-duplicate says; marks are drawn later, by `draw_marks`."""
    height, width = picture.image.shape
    match kind:
        case "crop":
            share = rng.uniform(0.80, 0.94, 2)
            rows, columns = int(height * share[0]), int(width * share[1])
            union = np.logical_or.reduce(picture.masks)
            window = _window(union, rows, columns, rng)
            return DrawnImage(picture.image[window].copy(), [mask[window].copy() for mask in picture.masks])
        case "rescale":
            size = (int(width * rng.uniform(0.75, 1.2)), int(height * rng.uniform(0.75, 1.2)))
            image = np.asarray(cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA), np.uint8)
            masks = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for m in picture.masks]
            return DrawnImage(image, masks)
        case "gain":
            grey = np.clip(picture.image / 255 * rng.uniform(0.8, 1.25), 0, 1) ** rng.uniform(0.75, 1.3)
            return DrawnImage(np.round(255 * grey).astype(np.uint8), picture.masks)
        case "mirror":
            return DrawnImage(picture.image[:, ::-1].copy(), [mask[:, ::-1].copy() for mask in picture.masks])
        case _:
            return picture


def _window(mask: Mask, rows: int, columns: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw 20 windows of rows×columns, and return the one that cuts off least of the mask."""
    height, width = mask.shape
    corners = [(int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))) for _ in range(20)]
    top, left = max(corners, key=lambda c: mask[c[0] : c[0] + rows, c[1] : c[1] + columns].sum())
    return slice(top, top + rows), slice(left, left + columns)
