from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Write

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources import manifest
from breast_ultrasound.sources.release import scan


@pytest.fixture
def known(release: Path, tmp_path: Path) -> Path:
    """A manifest of the release."""
    path = tmp_path / "known.sha256"
    path.write_text("".join(f"{digest}  {name}\n" for name, digest in manifest.fingerprints(scan(release)).items()))
    return path


def test_the_same_files_pass(release: Path, known: Path) -> None:
    manifest.check(scan(release), known)


def test_a_lossless_re_encoding_passes(release: Path, known: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    cv2.imwrite(path, np.asarray(cv2.imread(path, cv2.IMREAD_COLOR)), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    manifest.check(scan(release), known)


def test_the_same_greys_in_16_bits_are_told_as_altered(release: Path, known: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    cv2.imwrite(path, np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE)) * np.uint16(256))
    with pytest.raises(UserError, match=r"altered: benign/benign \(1\)\.png\."):
        manifest.check(scan(release), known)


def test_one_altered_pixel_is_told_by_name(release: Path, known: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    pixels = np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE))
    pixels[3, 3] ^= 1
    cv2.imwrite(path, pixels)
    with pytest.raises(UserError, match=r"altered: benign/benign \(1\)\.png\."):
        manifest.check(scan(release), known)


def test_missing_and_extra_files_are_told_by_name(release: Path, known: Path, write: Write) -> None:
    (release / "benign" / "benign (2)_mask_1.png").unlink()
    write("release/normal/normal (3).png", np.zeros((4, 4), np.uint8))
    write("release/normal/normal (3)_mask.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError) as refusal:
        manifest.check(scan(release), known)
    assert "missing: benign/benign (2)_mask_1.png" in str(refusal.value)
    assert "not part of the release: normal/normal (3).png, normal/normal (3)_mask.png" in str(refusal.value)
