"""Arrays of one image in the files of others: NIfTI, NumPy's .npy and DICOM Segmentation objects."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from breast_ultrasound.cases.pictures import MOST_PIXELS, check_size, open_file
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.dicom import quote_nothing

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


def read_segmentation(path: Path) -> NDArray[Any]:
    """Read a DICOM Segmentation object as [height, width]: the largest value of all its segments, each a lesion.

    Of a fractional one, values are shares of its maximum, 0 to 1. UserError where it is damaged, of another kind, or
    holds frames of several images.
    """
    with quote_nothing(str(path)), open_file(path) as file:
        data = dcmread(file, force=True)
        if data.SOPClassUID != SegmentationStorage:
            raise UserError(f"{path}: this DICOM object is no segmentation. Give one, or a picture.")
        if len(_sources(data)) > 1:
            raise UserError(f"{path}: holds masks of {len(_sources(data))} images, where one is expected.")
        check_size(str(path), int(data.get("NumberOfFrames") or 1) * data.Rows, data.Columns, MOST_PIXELS)
        values = data.pixel_array.reshape(-1, data.Rows, data.Columns).max(axis=0)
        if data.get("SegmentationType") == "FRACTIONAL":
            return values / float(data.MaximumFractionalValue)
        return values


def _sources(data: Dataset) -> set[tuple[str, int]]:
    """Return the images that the frames of a segmentation refer to, by UID and number of the frame."""
    return {
        (source.ReferencedSOPInstanceUID, int(np.ravel(source.get("ReferencedFrameNumber") or 1)[0]))
        for frame in data.get("PerFrameFunctionalGroupsSequence", [])
        for derivation in frame.get("DerivationImageSequence", [])
        for source in derivation.get("SourceImageSequence", [])
    }
