"""Masks as DICOM Segmentation objects (PS3.3 A.51), which viewers lay over the images that they refer to."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans.dicom import quote_nothing

_MAKER = "breast-ultrasound-segmentation"

_REFERENCES = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]

# Required in every object; they stay empty here.
_PATIENT = [
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
]


def write(
    target: Path,
    source: Path,
    masks: Mapping[int, Mask],
    mm_per_pixel: tuple[float, float] | None,
    network: str,
) -> None:
    """Write the masks of a DICOM object's whole frames, bool [rows, columns] by frame number, as one segment.

    Frames whose mask is empty are left out; where all are empty, the first one stays, since an object has at least one.
    The object refers to `source` by its UIDs and holds no name, date or number of the patient. `network` names the
    network that made the masks. The UIDs of the object follow from all of these, so that the same masks are the same
    object.

    UserError where the source has no UIDs, or the disk is full.
    """
    origin = _origin(source)
    numbers = sorted(number for number, mask in masks.items() if mask.any()) or [min(masks)]
    frames = np.stack([masks[number] for number in numbers])
    content = [origin.SOPInstanceUID, network, str(numbers), str(frames.shape), np.packbits(frames).tobytes().hex()]
    segmentation = Segmentation(
        source_images=[_one_frame(origin, frames[0], mm_per_pixel)],
        pixel_array=frames[0],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_lesion(network)],
        series_instance_uid=generate_uid(entropy_srcs=[*content, "series"]),
        series_number=1,
        sop_instance_uid=generate_uid(entropy_srcs=[*content, "instance"]),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=network,
        device_serial_number="0",
        series_description="Lesions, segmented automatically, for research",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
    )
    _refer(segmentation, origin)
    # Not every scan of several frames gives their number.
    if "NumberOfFrames" in origin or len(masks) > 1:
        _place(segmentation, numbers, frames)
    with atomic_write(target) as aside:
        segmentation.save_as(aside)


def _origin(source: Path) -> Dataset:
    with quote_nothing(str(source)):
        origin = dcmread(
            source,
            force=True,
            stop_before_pixels=True,
            specific_tags=[*_REFERENCES, "Modality", "NumberOfFrames", "LossyImageCompression"],
        )
    if not all(origin.get(key) for key in _REFERENCES):
        raise UserError(f"{source}: a DICOM Segmentation cannot refer to it, since it has no UIDs of its own.")
    return origin


def _one_frame(origin: Dataset, mask: Mask, mm_per_pixel: tuple[float, float] | None) -> Dataset:
    """Return the source as highdicom takes it: a single frame, since without a frame of reference it takes no more."""
    single = deepcopy(origin)
    single.SOPClassUID = UltrasoundImageStorage
    single.pop("NumberOfFrames", None)
    single.Rows, single.Columns = mask.shape
    if mm_per_pixel:
        single.PixelSpacing = list(mm_per_pixel)
        # Unknown; but without one highdicom does not read the spacing that it wrote.
        single.SliceThickness = 0
    for key in _PATIENT:
        setattr(single, key, "")
    return single


def _lesion(network: str) -> SegmentDescription:
    return SegmentDescription(
        segment_number=1,
        segment_label="Lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        anatomic_regions=[codes.SCT.Breast],
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=_MAKER, family=codes.cid7162.ArtificialIntelligence, version=network
        ),
    )


def _refer(segmentation: Segmentation, origin: Dataset) -> None:
    """Name the kind of the source, for which a still image stood in."""
    [frame] = segmentation.PerFrameFunctionalGroupsSequence
    for reference in (
        segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0],
        frame.DerivationImageSequence[0].SourceImageSequence[0],
    ):
        reference.ReferencedSOPClassUID = origin.SOPClassUID


def _place(segmentation: Segmentation, numbers: list[int], frames: NDArray[np.bool_]) -> None:
    """Put all frames into an object of one, each with the number of the source frame that it belongs to."""
    [template] = segmentation.PerFrameFunctionalGroupsSequence
    groups = []
    for position, number in enumerate(numbers, start=1):
        group = deepcopy(template)
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = number
        content = group.FrameContentSequence[0]
        content.StackID = "1"
        content.InStackPositionNumber = number
        content.DimensionIndexValues = [1, position]
        groups.append(group)
    segmentation.PerFrameFunctionalGroupsSequence = groups
    dimension = Dataset()
    dimension.DimensionIndexPointer = Tag("InStackPositionNumber")
    dimension.FunctionalGroupPointer = Tag("FrameContentSequence")
    dimension.DimensionOrganizationUID = segmentation.DimensionIndexSequence[0].DimensionOrganizationUID
    dimension.DimensionDescriptionLabel = "Frame"
    segmentation.DimensionIndexSequence.append(dimension)
    segmentation.NumberOfFrames = len(numbers)
    segmentation.PixelData = pack_bits(frames.astype(np.uint8))
