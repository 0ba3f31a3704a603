import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from scan_files import PLANTED, dicom_bytes, dicom_object, picture_bytes, regions, saved, scan_image, with_a_patient

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import frames, opened, scan_of
from breast_ultrasound.scans.scan import Frame


def read(content: bytes, **options: Any) -> list[Frame]:
    return list(scan_of(io.BytesIO(content), "scan.dcm", **options).frames)


def colour(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=-1)


def test_a_grey_and_a_colour_object_give_the_grey_values_of_the_picture() -> None:
    for pixels in (scan_image(), colour(scan_image())):
        [frame] = read(dicom_bytes([pixels]))
        assert np.array_equal(frame.whole, scan_image())
        assert (frame.number, frame.mm_per_pixel) == (1, None)


def test_frames_are_numbered_from_one_and_come_at_their_rate() -> None:
    loop = [np.full((4, 6), level, np.uint8) for level in (10, 20, 30)]
    scan = scan_of(io.BytesIO(dicom_bytes(loop, FrameTime="40")), "loop")
    assert (scan.length, scan.rate) == (3, 25)
    assert [(frame.number, frame.whole[0, 0]) for frame in scan.frames] == [(1, 10), (2, 20), (3, 30)]


def test_monochrome1_is_shown_as_viewers_show_it() -> None:
    [frame] = read(dicom_bytes([255 - scan_image()], PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(frame.whole, scan_image())


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_pixels_without_loss_are_the_same(syntax: UID) -> None:
    made = dicom_object([scan_image(), scan_image()[::-1]])
    if syntax == JPEG2000Lossless:
        made.PixelData = encapsulate([jpeg2000(scan_image()), jpeg2000(scan_image()[::-1])])
        made.file_meta.TransferSyntaxUID = syntax
    else:
        made.compress(syntax)
    upright, turned = read(saved(made))
    assert np.array_equal(upright.whole, scan_image())
    assert np.array_equal(turned.whole, scan_image()[::-1])


def jpeg2000(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG2000", irreversible=False, no_jp2=True)
    return file.getvalue()


def test_lossless_jpeg_is_decoded_to_the_pixels_that_it_was_made_of() -> None:
    [lossless] = frames(data_file("SC_rgb_jpeg_gdcm.dcm"), any_modality=True)
    [run_length] = frames(data_file("SC_rgb_rle.dcm"), any_modality=True)
    assert np.array_equal(lossless.whole, run_length.whole)


def test_lossy_jpeg_in_the_colours_of_jpeg_is_near_its_picture() -> None:
    made = dicom_object([colour(scan_image())], PhotometricInterpretation="YBR_FULL_422")
    made.PixelData = encapsulate([picture_bytes(colour(scan_image()), ".jpg")])
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    [frame] = read(saved(made))
    assert np.abs(frame.whole.astype(int) - scan_image()).mean() < 2


def test_more_than_8_bits_are_mapped_by_the_window_or_else_by_their_range() -> None:
    ramp = np.arange(1000, 1256, dtype=np.uint16).reshape(16, 16)
    [by_range] = read(dicom_bytes([ramp], BitsStored=12, HighBit=11))
    assert np.array_equal(by_range.whole.ravel(), np.arange(256))
    [by_window] = read(dicom_bytes([ramp], WindowCenter=1128, WindowWidth=129))
    assert by_window.whole.min() == 0
    assert by_window.whole.max() == 255
    assert np.count_nonzero(by_window.whole == 0) == pytest.approx(64, abs=2)
    [signed] = read(dicom_bytes([ramp.astype(np.int16) - 1100]))
    assert np.array_equal(signed.whole, by_range.whole)


def test_the_region_of_tissue_is_what_is_segmented_and_its_mask_fits_the_whole_frame() -> None:
    [frame] = read(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((10, 5, 69, 44))))
    assert np.array_equal(frame.image, scan_image()[5:45, 10:70])
    assert frame.mm_per_pixel == pytest.approx((0.2, 0.1))
    placed = frame.on_whole(frame.image < 100)
    assert np.array_equal(placed, scan_image() < 100)


def test_of_several_regions_the_largest_of_tissue_counts() -> None:
    tissue = regions((0, 0, 9, 9), (20, 0, 69, 49))
    doppler = regions((0, 0, 89, 59), data_type=3)
    [frame] = read(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=tissue + doppler))
    assert frame.image.shape == (50, 50)


def test_regions_of_an_image_that_was_larger_are_not_believed() -> None:
    [frame] = read(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((84, 31, 595, 414))))
    assert frame.image.shape == (60, 90)
    assert frame.mm_per_pixel is None


def test_a_last_column_beside_the_frame_as_some_scanners_name_it_is_cut() -> None:
    [frame] = read(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((10, 0, 90, 60))))
    assert frame.image.shape == (60, 80)
    assert frame.mm_per_pixel == pytest.approx((0.2, 0.1))


def test_without_regions_the_pixel_spacing_tells_the_millimetres() -> None:
    [frame] = read(dicom_bytes([scan_image()], PixelSpacing=[0.3, 0.2]))
    assert frame.mm_per_pixel == (0.3, 0.2)


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"Modality": "CT"}, "its modality is CT, not ultrasound"),
        ({"Modality": "Jane^Roe"}, "its modality is not told"),
        ({"NumberOfFrames": 0}, "holds 0 frames"),
        ({"Rows": 0}, "claims to be 90×0 pixels"),
        ({"Rows": 60000, "Columns": 60000}, "60000×60000 pixels are more than"),
        ({"NumberOfFrames": 7}, "not a readable DICOM object"),
        ({"Rows": 100}, "not a readable DICOM object"),
    ],
)
def test_what_cannot_be_segmented_is_refused_by_name(tags: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=rf"^scan\.dcm: .*{told}"):
        read(dicom_bytes([scan_image()], **tags))


def test_another_modality_can_be_let_through() -> None:
    assert len(read(dicom_bytes([scan_image()], Modality="CT"), any_modality=True)) == 1


def test_an_object_without_pixels_is_refused() -> None:
    made = dicom_object([scan_image()])
    del made.PixelData
    with pytest.raises(UserError, match="holds no pixels"):
        read(saved(made))


def test_a_syntax_that_is_not_decoded_is_named() -> None:
    made = dicom_object([scan_image()])
    made.PixelData = encapsulate([b"video"])
    made.file_meta.TransferSyntaxUID = MPEG4HP41
    with pytest.raises(UserError, match=r"not decoded here \(MPEG-4 AVC/H\.264 High Profile"):
        read(saved(made))


def test_an_object_that_is_deflated_as_a_whole_is_not_inflated() -> None:
    with pytest.raises(UserError, match="Deflated Explicit VR"):
        list(frames(data_file("image_dfl.dcm"), any_modality=True))


@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [
        ("ExplVR_BigEnd.dcm", 1, (60, 80)),
        ("examples_rgb_color.dcm", 1, (240, 320)),
        ("examples_palette.dcm", 1, (350, 800)),
        ("examples_jpeg2k.dcm", 1, (480, 640)),
        ("examples_ybr_color.dcm", 30, (240, 320)),
    ],
)
def test_real_ultrasound_is_read(name: str, count: int, shape: tuple[int, int]) -> None:
    with opened(data_file(name)) as scan:
        assert scan.length == count
        found = list(scan.frames)
    assert [frame.whole.shape for frame in found] == count * [shape]
    assert all(frame.whole.std() > 5 for frame in found)


def data_file(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert found
    return Path(str(found))


@pytest.mark.parametrize("damage", [b"", b"WindowCenter", b"NumberOfFrames", b"Columns", b"end"])
def test_nothing_about_the_patient_is_told(
    damage: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made = with_a_patient([scan_image().astype(np.uint16)] * 2, WindowCenter="1234567890", WindowWidth="9")
    content = saved(made)
    assert all(planted in content for planted in PLANTED)
    if damage == b"WindowCenter":
        content = content.replace(b"1234567890", PLANTED[0])
    elif damage == b"NumberOfFrames":
        content = content.replace(b"IS\x02\x002 ", b"IS\x02\x00Zy")
    elif damage == b"Columns":
        content = content.replace(struct.pack("<HH2sHH", 0x28, 0x11, b"US", 2, 90), b"\x28\0\x11\0PN\x02\0Zy")
    elif damage == b"end":
        content = content[:-500]
    try:
        read(content)
    except UserError as error:
        told = f"{error!r} {error.__cause__!r}"
        assert damage
    else:
        told = ""
        assert not damage
    told += "".join(capfd.readouterr()) + caplog.text
    assert not any(planted[:2].decode() in told for planted in PLANTED), told
