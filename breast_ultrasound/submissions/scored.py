"""The folder of a scored system, `scored/NAME`, as `score` writes it and `compare` reads it.

`scores.csv` and `figures.json` have the form of those in metrics/; `masks/<id>.png` are white on black; `board.json` is
an entry of the board.
"""

from pathlib import Path

import cv2

from breast_ultrasound.cases.images import write_png
from breast_ultrasound.cases.pictures import decode
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scoring import figures

SCORED = Path("scored")

SCORES, FIGURES = figures.PER_IMAGE.name, figures.FIGURES.name
MASKS, ENTRY = "masks", "board.json"
# The key of FIGURES with the case table whose images were scored; None for those that were checked out.
DATA = "data"


def write_mask(folder: Path, case_id: str, mask: Mask) -> None:
    """Write the mask of an image, bool [height, width], to the folder of a system."""
    write_png(folder / MASKS / f"{case_id}.png", mask.astype("uint8") * 255)


def read_mask(folder: Path, case_id: str) -> Mask:
    """Read a mask that `write_mask` wrote; UserError where it is not there."""
    return decode(folder / MASKS / f"{case_id}.png", cv2.IMREAD_GRAYSCALE) > 0
