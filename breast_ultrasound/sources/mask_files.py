"""True masks in the files that people have: pictures and DICOM Segmentation objects."""

from pathlib import Path

from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scans.reading import is_dicom


def read_true_mask(path: Path) -> Mask:
    """Read a mask as bool [height, width]: a picture as `read_mask` does, or a DICOM Segmentation of one image.

    All segments of the latter are lesions, from half of its maximum on where it is fractional. UserError where the file
    is neither, is damaged, or can be read in two ways.
    """
    if not is_dicom(path):
        return read_mask(path)
    # Takes a third of a second to load, which those with pictures needn't wait for.
    from breast_ultrasound.scans.dicom_masks import read_segmentation  # noqa: PLC0415

    return read_segmentation(path) >= 0.5
