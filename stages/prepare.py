"""Map every image and its merged mask to one square grid, memory-mappable.

Writes data/prepared/images.npy (uint8 [n, size, size], grey), masks.npy (uint8 [n, size, size], 0 or 1) and index.csv:
id, class and the letterbox geometry of each row, sorted by class and number.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import IMAGES, INDEX, MASKS, PREPARED
from breast_ultrasound.cases.raw import RAW, Case, read_cases, read_merged_mask
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write, written_rows
from breast_ultrasound.pipeline.params import Section, load


class Prepare(Section):
    """The square grid."""

    # Not `size`: the run cache of DVC takes two values of a key of that name for the same.
    side: Annotated[int, Field(ge=16, le=2048)]


class Params(Section):
    """The params that this stage reads."""

    prepare: Prepare


def prepare_case(case: Case, size: int) -> tuple[Grey, Mask, Letterbox]:
    """Return the image uint8 and the mask bool of a case, both [size, size], and their letterbox."""
    image = read_grey(case.image)
    height, width = image.shape
    box = Letterbox.fit(height, width, size)
    return box.to_grid(image), box.mask_to_grid(read_merged_mask(case, height, width)), box


def prepare(cases: list[Case], size: int, folder: Path) -> None:
    """Write the arrays and the index of `cases` to `folder`."""
    shape = (len(cases), size, size)
    rows = []
    prepared = map_on_all_machines(partial(prepare_case, size=size), cases, "prepare")
    with written_rows(folder / IMAGES, shape) as add_image, written_rows(folder / MASKS, shape) as add_mask:
        for case, (image, mask, box) in zip(cases, prepared, strict=True):
            add_image(image)
            add_mask(mask.astype(np.uint8))
            rows.append({"id": case.id, "class": case.cls, **box.geometry()})
    pd.DataFrame(rows).to_csv(folder / INDEX, index=False)


@command
def main() -> None:
    """Prepare data/raw."""
    size = load(Params).prepare.side
    cases = read_cases(RAW)
    with atomic_write(PREPARED) as folder:
        folder.mkdir()
        prepare(cases, size, folder)


if __name__ == "__main__":
    main()
