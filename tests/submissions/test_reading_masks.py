"""Predicted masks and probabilities in every kind of file, and what is refused of them."""

import tempfile
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from conftest import Write
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scan_files import dicom_bytes, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans import dicom_seg
from breast_ultrasound.submissions.reading import read_predicted_mask, read_probability

MASK = np.zeros((20, 30), bool)
MASK[5:9, 10:18] = True
SHARES = np.linspace(0, 1, 600).reshape(20, 30)


def nifti(path: Path, values: NDArray[Any]) -> Path:
    """Write [height, width] as ITK writes a picture: x first, one slice."""
    nibabel.save(nibabel.Nifti1Image(values.T[:, :, None], np.diag([-1, -1, 1, 1])), path)
    return path


def numpy_file(path: Path, values: NDArray[Any]) -> Path:
    np.save(path, values)
    return path


def segmentation(folder: Path, masks: dict[int, NDArray[np.bool_]]) -> Path:
    shape = next(iter(masks.values())).shape
    (folder / "scan.dcm").write_bytes(dicom_bytes([np.zeros(shape, np.uint8)] * max(masks)))
    dicom_seg.write(folder / "seg.dcm", folder / "scan.dcm", masks, None, "network")
    return folder / "seg.dcm"


def refusal(path: Path, read: Any = read_predicted_mask) -> str:
    with pytest.raises(UserError) as refused:
        read(path, *MASK.shape)
    message = str(refused.value)
    assert message.startswith(str(path))
    return message


def test_a_mask_is_the_same_from_every_kind_of_file(write: Write, tmp_path: Path) -> None:
    files = [
        write("white.png", MASK.astype(np.uint8) * 255),
        write("labels.tif", MASK.astype(np.uint16)),
        nifti(tmp_path / "x.nii.gz", MASK.astype(np.uint8)),
        nifti(tmp_path / "x.nii", MASK.astype(np.float32) * 255),
        numpy_file(tmp_path / "x.npy", MASK),
        segmentation(tmp_path, {1: MASK}),
    ]
    for file in files:
        assert np.array_equal(read_predicted_mask(file, *MASK.shape), MASK), file


def test_an_empty_mask_is_read_as_such(write: Write, tmp_path: Path) -> None:
    none = np.zeros_like(MASK)
    files = [
        write("x.png", none.astype(np.uint8)),
        nifti(tmp_path / "x.nii.gz", none.astype(np.uint8)),
        segmentation(tmp_path, {1: none}),
    ]
    for file in files:
        assert not read_predicted_mask(file, *MASK.shape).any()


def test_a_probability_is_the_same_in_steps_and_fractions(write: Write, tmp_path: Path) -> None:
    levels = np.round(255 * SHARES).astype(np.uint8)
    fractional = pydicom.dcmread(segmentation(tmp_path, {1: MASK}))
    fractional.SegmentationType, fractional.MaximumFractionalValue = "FRACTIONAL", 255
    fractional.BitsAllocated = fractional.BitsStored = 8
    fractional.HighBit, fractional.PixelData = 7, levels.tobytes()
    fractional.save_as(tmp_path / "fractional.dcm")
    files = [
        write("x.png", levels),
        write("colours.png", np.repeat(levels[..., None], 3, axis=2)),
        write("deep.png", levels.astype(np.uint16) * 257),
        nifti(tmp_path / "x.nii.gz", SHARES.astype(np.float32)),
        numpy_file(tmp_path / "x.npy", SHARES),
        tmp_path / "fractional.dcm",
    ]
    for file in files:
        assert np.array_equal(read_probability(file, *MASK.shape), levels), file


@given(st.floats(0, 1), st.integers(0, 65535))
def test_rounding_moves_nothing_across_one_half(share: float, level: int) -> None:
    for value, exact in ((np.float64(share), share), (np.float32(share), float(np.float32(share)))):
        assert (steps(value) >= 128) == (exact >= 0.5)
    assert (steps(np.uint16(level)) >= 128) == (level / 65535 >= 0.5)


def steps(value: np.generic) -> int:
    """A probability of one pixel in steps of 1/255."""
    with tempfile.TemporaryDirectory() as folder:
        return int(read_probability(numpy_file(Path(folder) / "x.npy", np.array([[value]])), 1, 1)[0, 0])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((20, 30), np.nan), "no finite numbers, such as NaN"),
        (SHARES * 2, "holds fractions from 0 to 2"),
        (SHARES - 0.5, "holds fractions from -0.5 to 0.5"),
        (SHARES.astype(np.int32), "whole numbers of int32"),
        (SHARES[:10], "is 30×10 pixels, its image 30×20."),
        (SHARES.T, "Its axes seem to be swapped."),
        (np.stack([SHARES] * 2), r"is of shape (2, 20, 30)"),
        (np.array([["a"]], object), "not a readable array of numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_probability_of_the_image_is_refused(tmp_path: Path, values: NDArray[Any], reason: str) -> None:
    assert reason in refusal(numpy_file(tmp_path / "x.npy", values), read_probability)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.where(MASK, 1, np.nan), "no finite numbers, such as NaN"),
        (SHARES, "which pixels are lesion is ambiguous"),
        (np.round(255 * SHARES), "Probabilities are given with --probabilities"),
        (MASK - 2.0, "which pixels are lesion is ambiguous"),
        (1.0 * MASK[:, :20], "is 20×20 pixels, its image 30×20."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_mask_of_the_image_is_refused(tmp_path: Path, values: NDArray[Any], reason: str) -> None:
    assert reason in refusal(nifti(tmp_path / "x.nii", values))


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).integers(0, 255, MASK.shape),
        # Sure of nothing.
        130 * MASK + 5 * (SHARES > 0.5),
    ],
    ids=["noise", "no white"],
)
def test_a_picture_of_probabilities_is_no_mask(write: Write, values: NDArray[Any]) -> None:
    assert "it holds grey as probabilities do" in refusal(write("x.png", values.astype(np.uint8)))


def test_the_edges_of_a_mask_may_be_soft(write: Write) -> None:
    truth = np.zeros((60, 80), np.uint8)
    cv2.circle(truth, (40, 30), 8, 255, cv2.FILLED)
    masks = [truth > 0, *(read_predicted_mask(write(f"x{suffix}", truth), 60, 80) for suffix in (".png", ".jpg"))]
    masks.append(read_predicted_mask(write("soft.png", cv2.GaussianBlur(truth, (0, 0), 1)), 60, 80))
    assert all(np.logical_xor(mask, masks[0]).sum() <= 8 for mask in masks)


def test_pictures_of_other_sizes_and_colours_are_refused(write: Write) -> None:
    assert "is 20×30 pixels, its image 30×20. Its axes" in refusal(write("x.png", MASK.T.astype(np.uint8)))
    colours = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert "is in colour" in refusal(write("y.png", colours), read_probability)


def test_files_of_several_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "volume.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 20, 4), np.uint8), np.eye(4)), path)
    assert "holds 4 slices" in refusal(path)
    assert "holds masks of 2 images" in refusal(segmentation(tmp_path, {1: MASK, 2: MASK}))


def test_damaged_files_and_those_of_other_kinds_are_refused(tmp_path: Path) -> None:
    for name in ("x.nii", "x.nii.gz", "x.npy", "x.dcm", "x.png"):
        (tmp_path / name).write_bytes(b"neither of these")
        refusal(tmp_path / name)
    (tmp_path / "scan.dcm").write_bytes(dicom_bytes([scan_image()]))
    assert "is no segmentation" in refusal(tmp_path / "scan.dcm")
    whole = nifti(tmp_path / "y.nii.gz", MASK.astype(np.uint8)).read_bytes()
    (tmp_path / "y.nii.gz").write_bytes(whole[:-20])
    assert "not a readable NIfTI file" in refusal(tmp_path / "y.nii.gz")


def test_a_file_that_claims_more_pixels_than_any_scan_is_not_unpacked(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30_000, 30_000, 1))
    (tmp_path / "x.nii").write_bytes(header.binaryblock + b"\0" * 4)
    assert "are more than the limit" in refusal(tmp_path / "x.nii")
