import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from scan_files import PLANTED, dicom_bytes, dicom_object, saved, scan_image, with_a_patient

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import dicom_seg

LESION = scan_image() < 100
NONE = np.zeros_like(LESION)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "scan.dcm"
    path.write_bytes(dicom_bytes([scan_image()] * 4))
    return path


def written(source: Path, masks: dict[int, np.ndarray], **changes: Any) -> Path:
    target = source.with_name("scan_seg.dcm")
    dicom_seg.write(target, source, masks, **{"mm_per_pixel": (0.2, 0.1), "network": "busi-abc", **changes})
    return target


def mask_of(target: Path, frame: int) -> np.ndarray:
    """The mask of a frame of a source with several, as highdicom reads it."""
    segmentation = hd.seg.segread(target)
    [study] = segmentation.StudiesContainingOtherReferencedInstancesSequence
    [origin] = study.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    return (
        segmentation.get_pixels_by_source_frame(
            origin.ReferencedSOPInstanceUID,
            [frame],
            assert_missing_frames_are_empty=True,
            ignore_spatial_locations=True,
        )[0, ..., 0]
        > 0
    )


def test_masks_come_back_on_the_frames_that_they_belong_to(source: Path) -> None:
    masks = {1: NONE, 2: LESION, 3: NONE, 4: LESION[::-1, ::-1] ^ LESION}
    target = written(source, masks)
    for number, mask in masks.items():
        assert np.array_equal(mask_of(target, number), mask)


def test_a_mask_whose_pixels_fill_no_whole_bytes_comes_back(tmp_path: Path) -> None:
    odd = np.arange(15).reshape(3, 5) % 2 == 0
    source = tmp_path / "odd.dcm"
    source.write_bytes(dicom_bytes([np.zeros((3, 5), np.uint8)] * 2))
    target = written(source, {1: odd, 2: ~odd})
    assert np.array_equal(mask_of(target, 1), odd)
    assert np.array_equal(mask_of(target, 2), ~odd)


def test_the_object_refers_to_its_source_and_says_what_it_shows(source: Path) -> None:
    segmentation = hd.seg.segread(written(source, {2: LESION}))
    origin = pydicom.dcmread(source)
    [study] = segmentation.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == origin.StudyInstanceUID
    [series] = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == origin.SeriesInstanceUID
    [image] = series.ReferencedInstanceSequence
    assert (image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID) == (origin.SOPClassUID, origin.SOPInstanceUID)
    [derived] = segmentation.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert derived.ReferencedFrameNumber == 2
    assert segmentation.get_segment_description(1).segmented_property_type.meaning == "Lesion"
    [measures] = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.PixelSpacing == [0.2, 0.1]
    assert measures.SliceThickness > 0


def test_a_still_image_is_referred_to_without_a_frame_number(tmp_path: Path) -> None:
    source = tmp_path / "still.dcm"
    source.write_bytes(dicom_bytes([scan_image()]))
    segmentation = hd.seg.segread(written(source, {1: LESION}))
    [derived] = segmentation.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert "ReferencedFrameNumber" not in derived
    mask = segmentation.get_pixels_by_source_instance([derived.ReferencedSOPInstanceUID], ignore_spatial_locations=True)
    assert np.array_equal(mask[0, ..., 0] > 0, LESION)


def test_where_no_frame_has_a_lesion_one_empty_frame_stands_for_them(source: Path) -> None:
    target = written(source, {1: NONE, 2: NONE}, mm_per_pixel=None)
    assert pydicom.dcmread(target).NumberOfFrames == 1
    assert not mask_of(target, 1).any()


def test_the_same_masks_are_the_same_bytes_and_anything_else_is_another_object(source: Path) -> None:
    def write(**changes: Any) -> tuple[str, bytes]:
        target = written(source, changes.pop("masks", {1: LESION}), **changes)
        return str(pydicom.dcmread(target).SOPInstanceUID), target.read_bytes()

    first = write()
    # Beyond the second in which a time would be the same.
    time.sleep(1.1)
    assert write() == first
    others = [write(network="other"), write(masks={1: NONE}), write(masks={2: LESION}), write(mm_per_pixel=(0.3, 0.1))]
    source.write_bytes(dicom_bytes([scan_image()] * 4, FrameOfReferenceUID="1.2.3"))
    others.append(write())
    assert len({uid for uid, _ in [first, *others]}) == len([first, *others])


def test_it_lies_in_a_study_of_its_own_since_it_names_no_patient(tmp_path: Path) -> None:
    studies = {}
    for name, number in (("a", "1.2.1"), ("b", "1.2.1"), ("c", "1.2.2")):
        source = tmp_path / f"{name}.dcm"
        source.write_bytes(dicom_bytes([scan_image()], StudyInstanceUID=number, SOPInstanceUID=f"1.3.{ord(name)}"))
        studies[name] = str(pydicom.dcmread(written(source, {1: LESION})).StudyInstanceUID)
    assert studies["a"] == studies["b"] != studies["c"]
    assert not {"1.2.1", "1.2.2"} & set(studies.values())


def test_the_frame_of_reference_of_the_source_is_its_own(tmp_path: Path) -> None:
    source = tmp_path / "scan.dcm"
    source.write_bytes(dicom_bytes([scan_image()], FrameOfReferenceUID="1.2.3"))
    assert pydicom.dcmread(written(source, {1: LESION})).FrameOfReferenceUID == "1.2.3"


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("spacing", [None, (0.2, 0.1)])
@pytest.mark.parametrize("tags", [{}, {"FrameOfReferenceUID": "1.2.3"}, {"LossyImageCompression": "01"}])
def test_a_validator_finds_no_error(
    tmp_path: Path, frames: int, spacing: tuple[float, float] | None, tags: dict[str, str]
) -> None:
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is missing: apt-get install dicom3tools")
    source = tmp_path / "scan.dcm"
    source.write_bytes(saved(with_a_patient([scan_image()] * frames, **tags)))
    target = written(source, dict.fromkeys(range(1, frames + 1), LESION), mm_per_pixel=spacing)
    done = subprocess.run(["dciodvfy", target], capture_output=True, text=True, check=False)
    assert "Segmentation" in done.stderr
    assert "Error" not in done.stdout + done.stderr


def test_nothing_about_the_patient_is_in_it(source: Path) -> None:
    source.write_bytes(saved(with_a_patient([scan_image()])))
    content = written(source, {1: LESION}).read_bytes()
    assert not any(planted in content for planted in PLANTED)


def test_a_source_without_uids_is_refused(tmp_path: Path) -> None:
    made = dicom_object([scan_image()])
    del made.StudyInstanceUID
    source = tmp_path / "bare.dcm"
    made.save_as(source, enforce_file_format=True)
    with pytest.raises(UserError, match="has no UIDs of its own"):
        written(source, {1: LESION})
    assert [path.name for path in tmp_path.iterdir()] == ["bare.dcm"]


def test_the_frames_of_a_source_that_does_not_give_their_number_are_all_there(tmp_path: Path) -> None:
    made = dicom_object([scan_image()] * 3)
    del made.NumberOfFrames
    source = tmp_path / "scan.dcm"
    source.write_bytes(saved(made))
    target = written(source, {1: LESION, 2: NONE, 3: np.roll(LESION, 9)})
    assert pydicom.dcmread(target).NumberOfFrames == 2
    assert np.array_equal(mask_of(target, 1), LESION)


@pytest.mark.parametrize("key", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_uid_that_is_none_is_refused_and_not_quoted(
    tmp_path: Path, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = dicom_object([scan_image()])
    source = tmp_path / "scan.dcm"
    content = saved(made)
    uid = str(made[key].value).encode()
    source.write_bytes(content.replace(uid, b"Zyx^Qwertz".ljust(len(uid), b"x")))
    with pytest.raises(UserError, match="has no UIDs of its own") as caught:
        written(source, {1: LESION})
    assert not any("Qwertz" in text for text in (str(caught.value), *capfd.readouterr()))


def test_a_frame_of_reference_that_is_none_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "scan.dcm"
    source.write_bytes(dicom_bytes([scan_image()], FrameOfReferenceUID="1.2.3.4.5").replace(b"1.2.3.4.5", b"Zyx^Qwert"))
    content = written(source, {1: LESION}).read_bytes()
    assert b"Qwert" not in content
    assert not any(capfd.readouterr())
