"""Burn the marks of a sonographer into an image: calipers and labels."""

import cv2
import numpy as np

from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.sources.phantom.picture import DrawnImage

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_marks(picture: DrawnImage, rng: np.random.Generator) -> Grey:
    """Burn calipers across each lesion, or a label, or both into the image, in one bright grey."""
    image = picture.image.copy()
    grey = int(rng.integers(215, 256))
    lesions = [mask for mask in picture.masks if mask.any()]
    calipers = bool(lesions) and rng.random() < 0.7
    for mask in lesions if calipers else []:
        rows, columns = np.nonzero(mask)
        middle = int(np.median(rows)), int(np.median(columns))
        _draw_caliper(image, (int(columns.min()), middle[0]), (int(columns.max()), middle[0]), "1", grey)
        if rng.random() < 0.6:
            _draw_caliper(image, (middle[1], int(rows.min())), (middle[1], int(rows.max())), "2", grey)
    if not calipers or rng.random() < 0.4:
        side, place = rng.choice(["RT", "LT", "R", "L"]), rng.choice(["BREAST", "AXILLA", "UOQ", "3 O'CLOCK", "LIQ"])
        origin = int(rng.uniform(0.01, 0.5) * image.shape[1]), int(rng.uniform(0.85, 0.97) * image.shape[0])
        cv2.putText(image, f"{side} {place}", origin, _FONT, rng.uniform(0.45, 0.6), grey, 2)
    return image


def _draw_caliper(image: Grey, start: tuple[int, int], end: tuple[int, int], number: str, grey: int) -> None:
    """Draw a dotted line between two crosses, and a number."""
    length = int(np.hypot(end[0] - start[0], end[1] - start[1]))
    for t in np.linspace(0, 1, max(2, length // 5)):
        x, y = round(start[0] + t * (end[0] - start[0])), round(start[1] + t * (end[1] - start[1]))
        image[y : y + 2, x : x + 2] = grey
    for point in (start, end):
        cv2.drawMarker(image, point, grey, cv2.MARKER_CROSS, 12, 2)
    cv2.putText(image, number, (end[0] + 5, end[1] + 13), _FONT, 0.45, grey, 2)
