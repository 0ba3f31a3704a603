"""Read one predicted mask, or the probability of one, from a file. No value is guessed: what is doubtful is refused."""

from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.cases.images import read_mask
from breast_ultrasound.cases.pictures import SUFFIXES as PICTURES
from breast_ultrasound.cases.pictures import decode
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.dicom_masks import read_segmentation
from breast_ultrasound.scans.reading import DICOM
from breast_ultrasound.submissions.arrays import NIFTI, NUMPY, read_nifti, read_numpy

# Whole numbers below this are labels, as in cases/images.py.
_LABELS = 32


def is_prediction(path: PurePath) -> bool:
    """Return whether the name of a file is that of a kind that is read here."""
    return path.name.lower().endswith((*PICTURES, *DICOM, *NIFTI, *NUMPY))


def read_predicted_mask(path: Path, height: int, width: int) -> Mask:
    """Read a mask as bool [height, width].

    Pictures are read as true masks are (`cases.images.read_mask`), but those in grey have to reach white, and to hold
    more of it than of grey between, since they may be probabilities. Of arrays, whole numbers below 32 are labels, and
    all but 0 are lesion, as is the greater of two values, 0 and another one. UserError for anything else, and where the
    mask is of another size.
    """
    mask = _read_picture(path) if path.suffix.lower() in PICTURES else _lesions(_read_array(path), path)
    _check_shape(mask, path, height, width)
    return mask


def read_probability(path: Path, height: int, width: int) -> Grey:
    """Read a probability as uint8 [height, width] in steps of 1/255, as this project keeps its own.

    Whole numbers of 8 bits are in steps of 1/255, those of 16 bits in steps of 1/65535; fractions lie between 0 and 1.
    Rounding to steps moves no pixel from one side of one half to the other. UserError for anything else, such as NaN or
    colours, and where the probability is of another size.
    """
    values = _read_grey(path) if path.suffix.lower() in PICTURES else _read_array(path)
    _check_shape(values, path, height, width)
    if values.dtype == np.uint8:
        return values
    shares = values / 65535 if values.dtype == np.uint16 else values
    if shares.dtype.kind != "f":
        raise UserError(
            f"{path}: holds whole numbers of {values.dtype}, which are no probabilities: 8 or 16 bits without a sign, "
            "or fractions, do."
        )
    if not np.isfinite(shares).all():
        raise UserError(f"{path}: holds values that are no finite numbers, such as NaN. Replace it.")
    if shares.min() < 0 or shares.max() > 1:
        raise UserError(f"{path}: holds fractions from {shares.min():g} to {shares.max():g}; probabilities are 0 to 1.")
    # In double precision, so that a value just below one half stays there.
    return np.round(255 * shares.astype(np.float64)).astype(np.uint8)


def _read_picture(path: Path) -> Mask:
    mask, values = read_mask(path), decode(path, cv2.IMREAD_ANYCOLOR)
    if not _is_black_and_white(values.max(axis=-1) if values.ndim == 3 else values):
        raise UserError(
            f"{path}: which pixels are lesion is ambiguous: it holds grey as probabilities do. Make lesions white and "
            "all else black, or give probabilities with --probabilities."
        )
    return mask


def _is_black_and_white(values: NDArray[Any]) -> bool:
    """Return whether values that `read_mask` takes are two, labels, or black and white with soft edges alone."""
    high = float(values.max())
    grey = (values > max(float(values.min()), high / 4)) & (values < 3 * high / 4)
    white = 255 if high < 256 else 65535
    two = ((values == values.min()) | (values == high)).all()
    return high < _LABELS or bool(two) or (high >= 7 * white / 8 and grey.sum() <= (values >= 3 * high / 4).sum())


def _read_array(path: Path) -> NDArray[Any]:
    name = path.name.lower()
    if name.endswith(NIFTI):
        return read_nifti(path)
    return read_numpy(path) if name.endswith(NUMPY) else read_segmentation(path)


def _read_grey(path: Path) -> NDArray[Any]:
    values = decode(path, cv2.IMREAD_ANYCOLOR)
    if values.ndim == 3 and not (values == values[..., :1]).all():
        raise UserError(f"{path}: is in colour, a probability is grey. Save it as grey values.")
    return values[..., 0] if values.ndim == 3 else values


def _lesions(values: NDArray[Any], path: Path) -> Mask:
    """Return which values are lesion."""
    if not np.isfinite(values).all():
        raise UserError(f"{path}: holds values that are no finite numbers, such as NaN. Replace it.")
    high = values.max()
    if values.min() < 0 or (values != np.round(values)).any() or (high >= _LABELS and not _are_two(values, high)):
        raise UserError(
            f"{path}: which pixels are lesion is ambiguous: it holds neither labels from 0 to {_LABELS - 1} nor two "
            "values. Probabilities are given with --probabilities."
        )
    return values > 0


def _are_two(values: NDArray[Any], high: Any) -> bool:
    return bool(((values == 0) | (values == high)).all())


def _check_shape(values: NDArray[Any], path: Path, height: int, width: int) -> None:
    if values.shape != (height, width):
        swapped = " Its axes seem to be swapped." if values.shape == (width, height) else ""
        raise UserError(f"{path}: is {values.shape[1]}×{values.shape[0]} pixels, its image {width}×{height}.{swapped}")
