from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Write

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.manifest import check_release, write_manifest


@pytest.fixture
def manifest(release: Path, tmp_path: Path) -> Path:
    """A manifest of the release, which holds a table as well."""
    (release / "table.csv").write_text("id,patient\nbenign (1),P1\n")
    path = tmp_path / "manifest.sha256"
    write_manifest(release, path, ("table.csv",))
    return path


def test_the_same_files_pass(release: Path, manifest: Path) -> None:
    check_release(release, manifest, "small")


def test_a_lossless_re_encoding_passes(release: Path, manifest: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    cv2.imwrite(path, np.asarray(cv2.imread(path, cv2.IMREAD_COLOR)), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    check_release(release, manifest, "small")


def test_other_line_ends_of_a_table_pass(release: Path, manifest: Path) -> None:
    (release / "table.csv").write_bytes(b"id,patient\r\nbenign (1),P1\r\n")
    check_release(release, manifest, "small")


def test_the_same_greys_in_16_bits_are_altered(release: Path, manifest: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    cv2.imwrite(path, np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE)) * np.uint16(256))
    with pytest.raises(UserError, match=r"altered: benign/benign \(1\)\.png\."):
        check_release(release, manifest, "small")


def test_one_altered_pixel_is_named(release: Path, manifest: Path) -> None:
    path = str(release / "benign" / "benign (1).png")
    pixels = np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE))
    pixels[3, 3] ^= 1
    cv2.imwrite(path, pixels)
    with pytest.raises(UserError, match=r"not the small release, altered: benign/benign \(1\)\.png\."):
        check_release(release, manifest, "small")


def test_an_altered_and_a_missing_table_are_named(release: Path, manifest: Path) -> None:
    (release / "table.csv").write_text("id,patient\nbenign (1),P2\n")
    with pytest.raises(UserError, match=r"altered: table\.csv\."):
        check_release(release, manifest, "small")
    (release / "table.csv").unlink()
    with pytest.raises(UserError, match=r"missing: table\.csv\."):
        check_release(release, manifest, "small")


def test_missing_and_extra_files_are_named(release: Path, manifest: Path, write: Write) -> None:
    (release / "benign" / "benign (2)_mask_1.png").unlink()
    write("release/normal/normal (3).png", np.zeros((4, 4), np.uint8))
    write("release/normal/normal (3)_mask.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError) as refusal:
        check_release(release, manifest, "small")
    assert "missing: benign/benign (2)_mask_1.png" in str(refusal.value)
    assert "not part of the release: normal/normal (3).png, normal/normal (3)_mask.png" in str(refusal.value)
