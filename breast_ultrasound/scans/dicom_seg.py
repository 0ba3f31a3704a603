"""Masks as DICOM Segmentation objects (PS3.3 A.51), which viewers lay over the images that they refer to."""

import hashlib
import io
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
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid
from pydicom.valuerep import DA, TM

from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans.dicom import quote_nothing

_MAKER = "breast-ultrasound-segmentation"

_REFERENCES = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
_UIDS = [*_REFERENCES, "FrameOfReferenceUID"]

# Stands for the required date of the content, which would make the bytes of each run others.
_NO_DATE, _NO_TIME = "19000101", "000000"

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
    The object refers to `source` by its UIDs and holds no name, date or number of the patient. So it lies in a study of
    its own, one for each study of sources: archives take a study for that of one patient. `network` names the network
    that made the masks.

    The UIDs follow from all that the object holds, and no time is in it: the same masks are the same bytes, and others
    are another object.

    UserError where the source has no valid UIDs, or the disk is full.
    """
    origin = _origin(source)
    numbers = sorted(number for number, mask in masks.items() if mask.any()) or [min(masks)]
    frames = np.stack([masks[number] for number in numbers])
    segmentation = Segmentation(
        source_images=[_one_frame(origin, frames[0], mm_per_pixel)],
        pixel_array=frames[0],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_lesion(network)],
        series_instance_uid=generate_uid(entropy_srcs=["series"]),
        series_number=1,
        sop_instance_uid=generate_uid(entropy_srcs=["instance"]),
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
    _remove_times(segmentation)
    _name_by_content(segmentation)
    with atomic_write(target) as aside:
        segmentation.save_as(aside)


def _origin(source: Path) -> Dataset:
    """Return the header of the source as far as the object refers to it or repeats it."""
    with quote_nothing(str(source)):
        origin = dcmread(
            source,
            force=True,
            stop_before_pixels=True,
            specific_tags=[*_UIDS, "Modality", "NumberOfFrames", "LossyImageCompression"],
        )
        valid = {key for key in _UIDS if UID(origin.get(key) or "").is_valid}
    if not valid.issuperset(_REFERENCES):
        raise UserError(f"{source}: a DICOM Segmentation cannot refer to it, since it has no UIDs of its own.")
    if "FrameOfReferenceUID" not in valid:
        origin.pop("FrameOfReferenceUID", None)
    return origin


def _one_frame(origin: Dataset, mask: Mask, mm_per_pixel: tuple[float, float] | None) -> Dataset:
    """Return the source as highdicom takes it: a single frame, since without positions in space it takes no more."""
    single = deepcopy(origin)
    single.SOPClassUID = UltrasoundImageStorage
    single.StudyInstanceUID = generate_uid(entropy_srcs=[origin.StudyInstanceUID, _MAKER])
    for key in ("NumberOfFrames", "FrameOfReferenceUID"):
        single.pop(key, None)
    single.Rows, single.Columns = mask.shape
    if mm_per_pixel:
        single.PixelSpacing = list(mm_per_pixel)
        # Unknown, but readers (highdicom among them) refuse a spacing without a thickness, and validators one of zero.
        single.SliceThickness = mm_per_pixel[0]
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
    """Name the study, the kind and the frame of reference of the source, for which a still image stood in."""
    [frame] = segmentation.PerFrameFunctionalGroupsSequence
    for reference in (
        segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0],
        frame.DerivationImageSequence[0].SourceImageSequence[0],
    ):
        reference.ReferencedSOPClassUID = origin.SOPClassUID
    study = Dataset()
    study.StudyInstanceUID = origin.StudyInstanceUID
    study.ReferencedSeriesSequence = segmentation.ReferencedSeriesSequence
    segmentation.StudiesContainingOtherReferencedInstancesSequence = [study]
    del segmentation.ReferencedSeriesSequence
    segmentation.PatientOrientation = ""
    if "FrameOfReferenceUID" in origin:
        segmentation.FrameOfReferenceUID = origin.FrameOfReferenceUID
        segmentation.PositionReferenceIndicator = ""


def _remove_times(segmentation: Segmentation) -> None:
    """Remove the times of this run."""
    del segmentation.InstanceCreationDate, segmentation.InstanceCreationTime
    segmentation.ContentDate, segmentation.ContentTime = DA(_NO_DATE), TM(_NO_TIME)
    for equipment in segmentation.ContributingEquipmentSequence:
        del equipment.ContributionDateTime


def _name_by_content(segmentation: Segmentation) -> None:
    """Make the UIDs of the object, which are those of nothing so far, from all else that it holds."""
    dimensions = [*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence]
    for dimension in dimensions:
        dimension.DimensionOrganizationUID = "0.0"
    content = io.BytesIO()
    segmentation.save_as(content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    series, instance, organization = (
        generate_uid(entropy_srcs=[digest, kind]) for kind in ("series", "SOP", "dimension")
    )
    segmentation.SeriesInstanceUID = series
    segmentation.SOPInstanceUID = segmentation.file_meta.MediaStorageSOPInstanceUID = instance
    for dimension in dimensions:
        dimension.DimensionOrganizationUID = organization


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
