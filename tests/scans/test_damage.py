"""Bytes lost, turned and added anywhere in a scan: it is read, or refused in a sentence, and nothing else happens."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from scan_files import clip_bytes, dicom_bytes, dicom_object, picture_bytes, regions, saved, scan_image

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import read_scan

RNG = np.random.default_rng(0)
TISSUE = np.clip(scan_image(24, 32) + RNG.normal(0, 9, (24, 32)), 0, 255).astype(np.uint8)
LOOP = [np.roll(np.repeat(np.repeat(TISSUE, 2, 0), 2, 1), step, 1) for step in range(6)]


def compressed() -> dict[str, bytes]:
    """Objects in the transfer syntaxes that ultrasound comes in."""
    made = {}
    for name, syntax in (("run-length.dcm", RLELossless), ("jpeg-ls.dcm", JPEGLSLossless)):
        scan = dicom_object([TISSUE, TISSUE[::-1]])
        scan.compress(syntax)
        made[name] = saved(scan)
    scan = dicom_object([np.repeat(TISSUE[..., None], 3, -1)] * 2, PhotometricInterpretation="YBR_FULL_422")
    scan.PixelData = encapsulate([picture_bytes(np.repeat(TISSUE[..., None], 3, -1), ".jpg")] * 2)
    scan.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return {**made, "jpeg.dcm": saved(scan)}


SCANS = {
    **{f"picture{suffix}": picture_bytes(TISSUE, suffix) for suffix in (".png", ".jpg", ".bmp", ".tif")},
    "grey.dcm": dicom_bytes([TISSUE], SequenceOfUltrasoundRegions=regions((2, 3, 20, 20))),
    "deep.dcm": dicom_bytes([TISSUE.astype(np.uint16)] * 2, WindowCenter=90, WindowWidth=80, FrameTime=40),
    **compressed(),
    **{f"clip{suffix}": clip_bytes(LOOP, suffix) for suffix in (".mp4", ".mov", ".avi")},
}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to eight cuts, insertions and turned bytes; half of them in its head, where the sense is."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        end = draw(st.sampled_from([min(700, len(changed)), len(changed)]))
        place = draw(st.integers(0, max(0, end - 1)))
        match draw(st.sampled_from(["turn", "set", "insert", "remove", "cut"])):
            case "turn" if changed:
                changed[place] ^= 1 << draw(st.integers(0, 7))
            case "set" if changed:
                changed[place] = draw(st.sampled_from([0, 1, 127, 128, 255]))
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "remove":
                del changed[place : place + draw(st.integers(1, 16))]
            case "cut":
                del changed[place + 1 :]
    return bytes(changed)


@pytest.mark.parametrize("name", SCANS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_damaged_scan_is_read_or_refused(name: str, data: st.DataObject) -> None:
    content = data.draw(damaged(SCANS[name]))
    try:
        for frame in read_scan(io.BytesIO(content), name, any_modality=True, most_pixels=10**6).frames:
            assert frame.whole.dtype == np.uint8
            assert min(frame.image.shape) > 0
            assert frame.to_whole(frame.image > 0).shape == frame.whole.shape
    except UserError as error:
        assert str(error).startswith(f"{name}: ")
