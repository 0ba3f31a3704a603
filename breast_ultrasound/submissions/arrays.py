"""Arrays of one image in the files of others: NIfTI and NumPy's .npy."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.pictures import MOST_PIXELS, check_size, open_file
from breast_ultrasound.pipeline.errors import UserError

NIFTI, NUMPY = (".nii", ".nii.gz"), (".npy",)


def read_nifti(path: Path) -> NDArray[Any]:
    """Read a NIfTI file of one slice as [height, width], with its scaling applied.

    Its first axis runs along the rows of the picture, from left to right, and its second axis down, as ITK and nnU-Net
    write pictures; what the header says of directions in space is not read. UserError where it is damaged or holds
    more than one slice.
    """
    # Nobody without NIfTI files needs to wait for it.
    import nibabel  # noqa: PLC0415

    open_file(path).close()
    try:
        image: Any = nibabel.load(path)
        width, height, *others = image.shape
        if math.prod(others) != 1:
            raise UserError(f"{path}: holds {math.prod(others)} slices, where one image is expected. Save each alone.")
        check_size(str(path), height, width, MOST_PIXELS)
        return np.asarray(image.dataobj).reshape(width, height).T
    except UserError:
        raise
    except Exception as error:
        # The readers raise whatever the damage leads to.
        raise UserError(f"{path}: not a readable NIfTI file; it is damaged or of another kind. Replace it.") from error


def read_numpy(path: Path) -> NDArray[Any]:
    """Read a .npy file as [height, width]; UserError where it is damaged, holds objects, or is of another shape."""
    open_file(path).close()
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: not a readable array of numbers (.npy). Replace it.") from error
    if values.ndim != 2:
        raise UserError(f"{path}: is of shape {values.shape}, where (height, width) is expected.")
    height, width = values.shape
    check_size(str(path), height, width, MOST_PIXELS)
    return np.array(values)
