"""The same images in every form that is taken, as zips: what the pipeline makes of them is the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import MadeOnce, write_params
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scan_files import picture_bytes, regions, saved, with_a_patient

from breast_ultrasound.cases.prepared import Prepared
from stages import audit, download, prepare, split

Pixels = NDArray[np.uint8]

NAMES = [f"scan {number}" for number in range(40)]
NORMAL = NAMES[30:]
HEIGHT, WIDTH = 60, 90
# Where a DICOM file has the picture within its frame.
TOP, LEFT = 20, 5


def picture(name: str) -> Pixels:
    """A picture of a scan; the second and the third are equal."""
    seed = min(NAMES.index(name), 1) if name == NAMES[2] else NAMES.index(name)
    return np.random.default_rng(seed).integers(1, 255, (HEIGHT, WIDTH), np.uint8)


def corners(name: str) -> NDArray[np.float64]:
    """The outline of a lesion, an ellipse: x and y [n, 2] in pixels from the upper left corner of the picture."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.stack([40 + NAMES.index(name) % 12 + 17.3 * np.cos(angle), 31 + 11.8 * np.sin(angle)], axis=1)


def mask(name: str) -> Pixels:
    """The pixels whose centres lie within the outline, 255; all 0 of a normal image."""
    contour = corners(name).astype(np.float32)
    inside = [
        [name not in NORMAL and cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), False) >= 0 for x in range(WIDTH)]
        for y in range(HEIGHT)
    ]
    return np.array(inside, np.uint8) * 255


def framed(content: Pixels) -> Pixels:
    """What is in a picture within a frame that also shows other things."""
    frame = np.zeros((HEIGHT + 30, WIDTH + 25), np.uint8)
    frame[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = content
    return frame


def write_pictures(folder: Path, masks: Callable[[str], str]) -> None:
    """The images as PNG files, and a table of them."""
    for name in NAMES:
        (folder / f"{name}.png").write_bytes(picture_bytes(picture(name)))
    write_table(folder, ".png", masks, "0.1")


def write_table(folder: Path, suffix: str, masks: Callable[[str], str], mm_per_pixel: str) -> None:
    rows = [
        f"{name}{suffix},{masks(name)},{'normal' if name in NORMAL else 'lesion'},P{int(name[5:]) // 2},{mm_per_pixel}"
        for name in NAMES
    ]
    (folder / "cases.csv").write_text("\n".join(["image,masks,class,patient,mm_per_pixel", *rows]))


def write_pairs(folder: Path) -> None:
    for name in NAMES:
        (folder / f"{name}_mask.png").write_bytes(picture_bytes(mask(name)))
    write_pictures(folder, lambda name: f"{name}_mask.png")


def write_coco(folder: Path, segmentation: Callable[[str], Any]) -> None:
    images = [{"id": name, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH} for name in NAMES]
    drawn = [{"image_id": name, "segmentation": segmentation(name)} for name in NAMES if name not in NORMAL]
    (folder / "outlines.json").write_text(json.dumps({"images": images, "annotations": drawn}))
    write_pictures(folder, lambda name: "" if name in NORMAL else "outlines.json")


def run_lengths(name: str) -> dict[str, Any]:
    encoded: Any = coco_mask.encode(np.asfortranarray(mask(name) // 255))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


def write_dicom(folder: Path) -> None:
    """DICOM files with a patient in them, whose frame shows other things beside the picture; masks of the frame."""
    region = regions((LEFT, TOP, LEFT + WIDTH - 1, TOP + HEIGHT - 1))
    region[0].PhysicalDeltaX = region[0].PhysicalDeltaY = 0.01
    for name in NAMES:
        made = with_a_patient([framed(picture(name))], SequenceOfUltrasoundRegions=region)
        (folder / f"{name}.dcm").write_bytes(saved(made))
        (folder / f"{name}_mask.png").write_bytes(picture_bytes(framed(mask(name))))
    write_table(folder, ".dcm", lambda name: f"{name}_mask.png", "")


FORMS: dict[str, Callable[[Path], None]] = {
    "pairs": write_pairs,
    "run lengths": lambda folder: write_coco(folder, run_lengths),
    "polygons": lambda folder: write_coco(folder, lambda name: [corners(name).ravel().tolist()]),
    "DICOM": write_dicom,
}


@pytest.fixture(scope="module")
def runs(made_once: MadeOnce) -> Path:
    """A folder for each form, in which the stages up to the split were run on a zip of it."""

    def make(folder: Path) -> None:
        for form, write in FORMS.items():
            (folder / form / "own").mkdir(parents=True)
            write(folder / form / "own")
            shutil.make_archive(str(folder / form / "own"), "zip", folder / form / "own")
            write_params(folder / form, data={"sources": ["own.zip"]}, split={"run": [0]})
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder / form)
                for stage in (download, prepare, audit, split):
                    stage.main()

    return made_once("forms", make)


FILES = ("prepared/images.npy", "prepared/masks.npy", "prepared/index.csv", "groups.csv", "folds.csv", "raw/cases.csv")


@pytest.mark.parametrize("form", ["run lengths", "DICOM"])
def test_every_form_gives_the_same_arrays_and_folds(form: str, runs: Path) -> None:
    for file in FILES:
        assert (runs / form / "data" / file).read_bytes() == (runs / "pairs/data" / file).read_bytes(), file


def test_polygons_differ_from_masks_by_less_than_a_pixel_along_the_outline(runs: Path) -> None:
    for file in ("prepared/images.npy", "prepared/index.csv", "folds.csv"):
        assert (runs / "polygons/data" / file).read_bytes() == (runs / "pairs/data" / file).read_bytes(), file
    drawn, given = (Prepared.open(runs / form / "data/prepared").masks for form in ("polygons", "pairs"))
    assert given.any()
    for one, other in zip(drawn, given, strict=True):
        band = cv2.morphologyEx(other, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        assert not (one != other)[band == 0].any()
    assert (drawn != given).sum() < 0.02 * given.sum()
