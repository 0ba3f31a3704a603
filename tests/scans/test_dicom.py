import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from scan_files import PLANTED, dicom_bytes, dicom_object, picture_bytes, regions, saved, scan_image, with_a_patient

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import list_scans
from breast_ultrasound.scans.reading import open_scan, read_frames, read_scan
from breast_ultrasound.scans.scan import Frame


def read(content: bytes, **options: Any) -> list[Frame]:
    return list(read_scan(io.BytesIO(content), "scan.dcm", **options).frames)


def colour(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=-1)


def test_a_grey_and_a_colour_object_give_the_grey_values_of_the_picture() -> None:
    for pixels in (scan_image(), colour(scan_image())):
        [frame] = read(dicom_bytes([pixels]))
        assert np.array_equal(frame.whole, scan_image())
        assert (frame.number, frame.mm_per_pixel) == (1, None)


def test_frames_are_numbered_from_one_and_come_at_their_rate() -> None:
    loop = [np.arange(24, dtype=np.uint8).reshape(4, 6) + level for level in (10, 20, 30)]
    scan = read_scan(io.BytesIO(dicom_bytes(loop, FrameTime="40")), "loop")
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
    [lossless] = read_frames(data_file("SC_rgb_jpeg_gdcm.dcm"), any_modality=True)
    [run_length] = read_frames(data_file("SC_rgb_rle.dcm"), any_modality=True)
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
    placed = frame.to_whole(frame.image < 100)
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
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "its modality is CT, not ultrasound"),
        ({"Modality": "Jane^Roe"}, "its modality is not given"),
        ({"NumberOfFrames": 0}, "holds 0 frames"),
        ({"Rows": 0}, "claims to be 90×0 pixels"),
        ({"Rows": 60000, "Columns": 60000}, "60000×60000 pixels are more than"),
        ({"NumberOfFrames": 7}, "not a readable DICOM object"),
        ({"Rows": 100}, "not a readable DICOM object"),
    ],
)
def test_what_cannot_be_segmented_is_refused_by_name(tags: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^scan\.dcm: .*{message}"):
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
        list(read_frames(data_file("image_dfl.dcm"), any_modality=True))


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
    with open_scan(data_file(name)) as scan:
        assert scan.length == count
        decoded = list(scan.frames)
    assert [frame.whole.shape for frame in decoded] == count * [shape]
    assert all(frame.whole.std() > 5 for frame in decoded)


def data_file(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path
    return Path(str(path))


@pytest.mark.parametrize("damage", [b"", b"WindowCenter", b"NumberOfFrames", b"Columns", b"end"])
def test_no_message_holds_anything_of_the_patient(
    damage: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made = with_a_patient([scan_image().astype(np.uint16)] * 2, WindowCenter="0000000100", WindowWidth="9")
    content = saved(made)
    assert all(planted in content for planted in PLANTED)
    if damage == b"WindowCenter":
        content = content.replace(b"0000000100", PLANTED[0])
    elif damage == b"NumberOfFrames":
        content = content.replace(b"IS\x02\x002 ", b"IS\x02\x00Zy")
    elif damage == b"Columns":
        content = content.replace(struct.pack("<HH2sHH", 0x28, 0x11, b"US", 2, 90), b"\x28\0\x11\0PN\x02\0Zy")
    elif damage == b"end":
        content = content[:-500]
    try:
        read(content)
    except UserError as error:
        messages = f"{error!r} {error.__cause__!r}"
        assert damage in (b"Columns", b"end")
    else:
        messages = ""
        # What is optional is left out where it is damaged.
        assert damage in (b"", b"WindowCenter", b"NumberOfFrames")
    messages += "".join(capfd.readouterr()) + caplog.text
    assert not any(planted[:2].decode() in messages for planted in PLANTED), messages


FRAMES = [np.roll(scan_image(), 7 * step, axis=1) for step in range(3)]


@pytest.mark.parametrize("count", [None, "", 1, 2])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
def test_frames_beyond_the_number_in_the_header_are_read(count: Any, syntax: UID | None) -> None:
    made = dicom_object(FRAMES)
    if syntax:
        made.compress(syntax)
    made.NumberOfFrames = count
    if count is None:
        del made.NumberOfFrames
    scan = read_scan(io.BytesIO(saved(made)), "scan.dcm")
    assert (scan.length, scan.moves) == (3, True)
    for frame, image in zip(scan.frames, FRAMES, strict=True):
        assert np.array_equal(frame.whole, image)


@pytest.mark.parametrize("depth", [8, 16])
def test_palette_entries_of_16_bits_that_hold_8_are_no_black_frame(depth: int) -> None:
    made = dicom_object([scan_image()], PhotometricInterpretation="PALETTE COLOR")
    entries = np.arange(256, dtype=np.uint16) << (depth - 8)
    for name in ("Red", "Green", "Blue"):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", entries.tobytes())
    [frame] = read(saved(made))
    assert np.array_equal(frame.whole, scan_image())


def without(item: Dataset, key: str) -> list[Dataset]:
    delattr(item, key)
    return [item]


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": 100},
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"FrameTime": None, "CineRate": None},
        {"PixelSpacing": "0.2"},
        {"PixelSpacing": None},
        {"SequenceOfUltrasoundRegions": []},
        {"SequenceOfUltrasoundRegions": without(regions((0, 0, 60, 50))[0], "RegionLocationMaxX1")},
        {"SequenceOfUltrasoundRegions": without(regions((0, 0, 60, 50))[0], "RegionSpatialFormat")},
    ],
    ids=str,
)
def test_an_optional_field_that_is_empty_short_or_missing_counts_as_absent(tags: dict[str, Any]) -> None:
    pixels = scan_image().astype(np.uint16)
    [plain], [frame] = read(dicom_bytes([pixels])), read(dicom_bytes([pixels], **tags))
    assert np.array_equal(frame.image, plain.image)
    assert frame.mm_per_pixel is None


@pytest.mark.parametrize("corners", [(0, 0, 0, 0), (0, 20, 89, 22), (50, 0, 40, 59)])
def test_a_region_too_small_to_show_a_breast_is_not_believed(corners: tuple[int, int, int, int]) -> None:
    [frame] = read(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions(corners)))
    assert frame.image.shape == (60, 90)


def test_an_object_labelled_with_the_wrong_kind_of_tags_is_read_as_it_is_written() -> None:
    kinds = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    for written, labelled in (kinds, kinds[::-1]):
        made = dicom_object([scan_image()])
        made.file_meta.TransferSyntaxUID = written
        content = saved(made)
        relabelled = content.replace(uid_element(written), uid_element(labelled), 1)
        assert relabelled != content
        [frame] = read(relabelled)
        assert np.array_equal(frame.whole, scan_image())


def uid_element(uid: UID) -> bytes:
    """The element of the meta information that names a transfer syntax."""
    value = uid.encode().ljust(len(uid) + len(uid) % 2, b"\0")
    return struct.pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value


def test_compressed_pixels_among_tags_without_types_are_read() -> None:
    [frame] = read_frames(data_file("SC_rgb_jpeg.dcm"), any_modality=True)
    assert frame.whole.shape == (256, 256)


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    content = dicom_bytes([scan_image()])
    made = dicom_object([scan_image()])
    bare = io.BytesIO()
    del made.file_meta
    made.save_as(bare, implicit_vr=False, little_endian=True)
    for headless in (content[132:], bare.getvalue()):
        (tmp_path / "IM1").write_bytes(headless)
        assert list_scans(tmp_path).scans == [tmp_path / "IM1"]
        [frame] = read_frames(tmp_path / "IM1")
        assert np.array_equal(frame.whole, scan_image())


@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless])
def test_overlays_in_the_bits_above_those_that_are_stored_change_nothing(syntax: UID | None) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    overlay = ramp | (np.eye(64, dtype=np.uint16) << 12)
    made = dicom_object([overlay], BitsStored=12, HighBit=11)
    if syntax:
        made.PixelData = encapsulate([jpeg2000(overlay)])
        made.file_meta.TransferSyntaxUID = syntax
    [frame], [plain] = read(saved(made)), read(dicom_bytes([ramp], BitsStored=12, HighBit=11))
    assert np.array_equal(frame.whole, plain.whole)


def test_of_two_views_side_by_side_the_one_that_is_left_out_is_noted() -> None:
    views = regions((0, 0, 39, 59), (50, 0, 89, 49))
    scan = read_scan(io.BytesIO(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=views)), "scan.dcm")
    [frame] = scan.frames
    assert frame.image.shape == (60, 40)
    assert "shows tissue in 2 regions" in scan.notes[0]
    assert not read_scan(io.BytesIO(dicom_bytes([scan_image()])), "scan.dcm").notes


@pytest.mark.parametrize("form", ["JPEG", "JPEG2000", "JPEG-LS"])
def test_a_compressed_frame_larger_than_its_header_claims_is_refused_before_it_is_decoded(form: str) -> None:
    large = scan_image(600, 900)
    made = dicom_object([scan_image()])
    if form == "JPEG-LS":
        made = dicom_object([large])
        made.compress(JPEGLSLossless)
        made.Rows, made.Columns = 60, 90
    else:
        encoded = jpeg2000(large) if form == "JPEG2000" else picture_bytes(large, ".jpg")
        made.PixelData = encapsulate([encoded])
        made.file_meta.TransferSyntaxUID = JPEG2000Lossless if form == "JPEG2000" else JPEGBaseline8Bit
    with pytest.raises(UserError, match="900×600 pixels are more than the limit of 100,000"):
        read(saved(made), most_pixels=100_000)
    with pytest.raises(UserError, match="not a readable DICOM object"):
        read(saved(made))


def test_a_damaged_jpeg_in_an_object_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90), dtype=np.uint8)
    encoded = picture_bytes(noise, ".jpg")
    made = dicom_object([noise])
    middle = len(encoded) // 2
    made.PixelData = encapsulate([encoded[:middle] + encoded[middle + 100 :]])
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    with pytest.raises(UserError, match="not a readable DICOM object"):
        read(saved(made))


def test_a_frame_of_a_single_grey_value_is_refused_but_not_within_a_loop() -> None:
    black = np.zeros((60, 90), np.uint8)
    with pytest.raises(UserError, match=r"scan\.dcm: shows a single grey value"):
        read(dicom_bytes([black]))
    assert len(read(dicom_bytes([black, scan_image()]))) == 2
