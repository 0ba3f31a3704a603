"""DICOM Segmentation objects (PS3.3 A.51) as masks, whoever wrote them."""

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


def read_references(path: Path) -> set[str] | None:
    """Return the UIDs of the images that a Segmentation refers to; None where the file is no Segmentation."""
    with quote_nothing(str(path)), open_file(path) as file:
        tags = ["SOPClassUID", "PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"]
        data = dcmread(file, force=True, stop_before_pixels=True, specific_tags=tags)
        if data.get("SOPClassUID") != SegmentationStorage:
            return None
        of_series = (
            instance.ReferencedSOPInstanceUID
            for series in data.get("ReferencedSeriesSequence", [])
            for instance in series.get("ReferencedInstanceSequence", [])
        )
        return {uid for uid, _ in _sources(data)} or set(of_series)


def read_uid(path: Path) -> str:
    """Return the UID by which Segmentations refer to a DICOM object, empty where it has none."""
    with quote_nothing(str(path)), open_file(path) as file:
        data = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        return str(data.get("SOPInstanceUID", ""))
