"""Scans as bytes, for tests: DICOM objects, clips and pictures."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import DicomDictionary  # pyright: ignore[reportPrivateImportUsage]
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

Pixels = NDArray[Any]


def scan_image(height: int = 60, width: int = 90) -> NDArray[np.uint8]:
    """A dark lesion on bright tissue."""
    image = np.full((height, width), 180, np.uint8)
    image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 20
    return image


def dicom_object(frames: Sequence[Pixels], **tags: Any) -> Dataset:
    """An ultrasound object of frames [height, width] or RGB [height, width, 3], with tags by keyword over its own."""
    pixels = np.stack(frames)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = UltrasoundImageStorage if len(frames) == 1 else UltrasoundMultiFrameImageStorage
    for key in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(made, key, generate_uid(entropy_srcs=[key]))
    made.Modality = "US"
    made.Rows, made.Columns = pixels.shape[1:3]
    made.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    if pixels.ndim == 4:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    if len(frames) > 1:
        made.NumberOfFrames = len(frames)
    made.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for key, value in tags.items():
        setattr(made, key, value)
    return made


def dicom_bytes(frames: Sequence[Pixels], **tags: Any) -> bytes:
    """The file of a `dicom_object`."""
    return saved(dicom_object(frames, **tags))


def saved(made: Dataset) -> bytes:
    """The file of an object."""
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


# A name, a date and a number that occur nowhere else.
PLANTED = (b"Zyx^Qwertz", b"19010203", b"PLANTED-4711")

_TEXT = {"LO", "SH", "LT", "ST", "UT", "UC"}
_GROUPS = {0x0008, 0x0010, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040}


def with_a_patient(frames: Sequence[Pixels], **tags: Any) -> Dataset:
    """A `dicom_object` with something about a patient in every tag of a patient, a visit, a study or a device."""
    made = dicom_object(frames, **tags)
    name, date, number = (planted.decode() for planted in PLANTED)
    values = {"PN": name, "DA": date, "DT": date, **dict.fromkeys(_TEXT, number)}
    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if (
            tag >> 16 in (0x0008, 0x0010, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040)
            and keyword not in made
            and vr in values
        ):
            made.add_new(tag, vr, values[vr])
    return made


def regions(*corners: tuple[int, int, int, int], centimetres: float = 0.01, data_type: int = 1) -> list[Dataset]:
    """Two-dimensional regions from their first and last column and row (x0, y0, x1, y1)."""
    items = []
    for left, top, right, bottom in corners:
        item = Dataset()
        item.RegionSpatialFormat = 1
        item.RegionDataType = data_type
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
        item.PhysicalDeltaX, item.PhysicalDeltaY = centimetres, 2 * centimetres
        items.append(item)
    return items


def clip_bytes(frames: Sequence[NDArray[np.uint8]], suffix: str = ".mp4", rate: float = 10) -> bytes:
    """Grey frames as a video file."""
    fourcc = cv2.VideoWriter.fourcc(*("MJPG" if suffix == ".avi" else "mp4v"))
    height, width = frames[0].shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate, (width, height))
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        writer.release()
        return path.read_bytes()


def picture_bytes(image: Pixels, suffix: str = ".png") -> bytes:
    """An image as a file of the type that the suffix names."""
    return cv2.imencode(suffix, image)[1].tobytes()
