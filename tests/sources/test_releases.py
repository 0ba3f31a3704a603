"""Releases in the layout of their archives, made small."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Write
from numpy.typing import NDArray

from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.cases.raw import Case, read_merged_mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.manifest import write_manifest
from breast_ultrasound.sources.releases import RELEASES, Release, copy_from_archive

BLACK, GREEN, RED = (0, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(seed: int, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 255, (height, width), np.uint8)


def ellipse(height: int = 40, width: int = 60, colour: tuple[int, ...] = (255,)) -> NDArray[np.uint8]:
    """A mask with an ellipse in the middle of its left half."""
    mask = np.zeros((height, width) if len(colour) == 1 else (height, width, 3), np.uint8)
    cv2.ellipse(mask, (width // 4, height // 2), (width // 8, height // 4), 0, 0, 360, colour, cv2.FILLED)
    return mask


def write_bus_bra(write: Write, tmp_path: Path) -> None:
    rows = ["ID,Case,Histology,Pathology,BIRADS,Device,Width,Height,Side,BBOX"]
    for name, case, cls in (("0001-l", 1, "malignant"), ("0001-r", 1, "malignant"), ("0002-s", 2, "benign")):
        write(f"published/BUSBRA/Images/bus_{name}.png", picture(len(rows)))
        write(f"published/BUSBRA/Masks/mask_{name}.png", ellipse())
        rows.append(f'bus_{name},{case},cyst,{cls},4,GE Logiq 7 @10-14MHz,60,40,left,"[1,2,3,4]"')
    (tmp_path / "published/BUSBRA/bus_data.csv").write_text("\n".join(rows))
    folds = ["ID,Pathology,kFold", "bus_0001-l,malignant,3", "bus_0001-r,malignant,3", "bus_0002-s,benign,1"]
    (tmp_path / "published/BUSBRA/5-fold-cv.csv").write_text("\n".join(folds))


def write_bus_uclm(write: Write, tmp_path: Path) -> None:
    rows = ["Image;Resolution;Label;Doppler;Marks;Combined"]
    for name, label, colour in (
        ("ALWI_000", "Benign", GREEN),
        ("ALWI_001", "Normal", BLACK),
        ("CHCO_000", "Malignant", RED),
    ):
        write(f"published/BUS-UCLM/images/{name}.png", cv2.cvtColor(picture(len(rows)), cv2.COLOR_GRAY2BGR))
        write(f"published/BUS-UCLM/masks/{name}.png", ellipse(colour=colour))
        rows.append(f"{name}.png;60x40;{label};No;Yes;No")
    write("published/BUS-UCLM/images/HESN_002.png", cv2.cvtColor(picture(9, 30, 90), cv2.COLOR_GRAY2BGRA))
    write("published/BUS-UCLM/masks/HESN_002.png", ellipse(colour=GREEN))
    rows.append("HESN_002.png;60x40;Benign;Yes;No;No")
    (tmp_path / "published/BUS-UCLM/INFO.csv").write_text("\ufeff" + "\n".join(rows), encoding="utf-8")


LAYOUTS: dict[str, Callable[[Write, Path], None]] = {"bus-bra": write_bus_bra, "bus-uclm": write_bus_uclm}


@pytest.fixture(params=LAYOUTS)
def small(request: pytest.FixtureRequest, write: Write, tmp_path: Path) -> Release:
    """A release whose archive, `published`, holds a few images, and its manifest."""
    return make_small(request.param, write, tmp_path)


def make_small(name: str, write: Write, tmp_path: Path) -> Release:
    LAYOUTS[name](write, tmp_path)
    release = RELEASES[name]
    tables = [line.split("  ")[1] for line in release.manifest.read_text().splitlines() if line.endswith(".csv")]
    manifest = tmp_path / "small.sha256"
    write_manifest(release.find_root(tmp_path / "published"), manifest, tuple(tables))
    return replace(release, manifest=manifest)


def copy(release: Release, archive: Path, folder: Path) -> dict[str, Case]:
    folder.mkdir(parents=True)
    return {case.id: case for case in copy_from_archive(release, archive, folder, max_gib=1)}


def test_bus_bra_has_the_patient_the_device_the_category_and_the_fold_of_its_tables(
    write: Write, tmp_path: Path
) -> None:
    cases = copy(make_small("bus-bra", write, tmp_path), tmp_path / "published", tmp_path / "raw")
    assert {name: (case.cls, case.patient) for name, case in cases.items()} == {
        "bus-bra bus_0001-l": ("malignant", "bus-bra 1"),
        "bus-bra bus_0001-r": ("malignant", "bus-bra 1"),
        "bus-bra bus_0002-s": ("benign", "bus-bra 2"),
    }
    assert [case.fold for case in cases.values()] == [3, 3, 1]
    assert {(case.device, case.birads) for case in cases.values()} == {("GE Logiq 7 @10-14MHz", "4")}
    case = cases["bus-bra bus_0001-l"]
    assert np.array_equal(read_grey(case.image), picture(1))
    assert np.array_equal(read_merged_mask(case, 40, 60), ellipse() > 0)


def test_bus_uclm_has_the_patient_in_the_name_and_lesions_in_colour(write: Write, tmp_path: Path) -> None:
    cases = copy(make_small("bus-uclm", write, tmp_path), tmp_path / "published", tmp_path / "raw")
    assert {name: (case.cls, case.patient) for name, case in cases.items()} == {
        "bus-uclm ALWI_000": ("benign", "bus-uclm ALWI"),
        "bus-uclm ALWI_001": ("normal", "bus-uclm ALWI"),
        "bus-uclm CHCO_000": ("malignant", "bus-uclm CHCO"),
        "bus-uclm HESN_002": ("benign", "bus-uclm HESN"),
    }
    for name, lesion in (("ALWI_000", True), ("ALWI_001", False), ("CHCO_000", True)):
        mask = read_merged_mask(cases[f"bus-uclm {name}"], 40, 60)
        assert np.array_equal(mask, (ellipse() > 0) & lesion)


def test_a_mask_of_another_size_is_stretched_to_its_image(write: Write, tmp_path: Path) -> None:
    cases = copy(make_small("bus-uclm", write, tmp_path), tmp_path / "published", tmp_path / "raw")
    mask = read_merged_mask(cases["bus-uclm HESN_002"], 30, 90)
    rows, columns = np.nonzero(mask)
    assert mask.mean() == pytest.approx((ellipse() > 0).mean(), rel=0.05)
    assert (rows.mean(), columns.mean()) == pytest.approx((15, 90 / 4), abs=1)


def test_a_zip_gives_the_same_files_as_a_folder(small: Release, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "published")
    one = copy(small, tmp_path / "published", tmp_path / "one")
    two = copy(small, tmp_path / "zipped.zip", tmp_path / "two")
    assert one.keys() == two.keys()
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.png"))
        for name in ("one", "two")
    ]
    assert files[0] == files[1]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files[0])


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def alter(path: Path) -> None:
    pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR))
    pixels[0, 0] ^= 1
    cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize(
    ("change", "expected"),
    [(damage, "{name}: not a readable image"), (alter, "altered: .*{name}"), (Path.unlink, "missing: .*{name}")],
    ids=["damaged", "altered", "missing"],
)
@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_changed_file_is_refused_by_name(
    small: Release, tmp_path: Path, folder: str, change: Callable[[Path], None], expected: str
) -> None:
    path = next(path for path in sorted((tmp_path / "published").rglob("*.png")) if path.parent.name.lower() == folder)
    change(path)
    with pytest.raises(UserError, match=expected.format(name=path.name)):
        copy(small, tmp_path / "published", tmp_path / "raw")


def test_a_changed_table_is_refused_by_name(small: Release, tmp_path: Path) -> None:
    table = next(path for path in (tmp_path / "published").rglob("*.csv") if "fold" not in path.name)
    table.write_text(table.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"not the {small.title} release, altered: {table.name}\."):
        copy(small, tmp_path / "published", tmp_path / "raw")


def test_an_archive_of_something_else_is_refused(small: Release, release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no files .*\.csv, one is needed"):
        copy(small, release, tmp_path / "raw")


def test_an_archive_that_is_missing_is_named(small: Release, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.zip does not exist"):
        copy(small, tmp_path / "nowhere.zip", tmp_path / "raw")


@pytest.mark.parametrize(
    ("name", "pictures"),
    [("busi", 780 + 798), ("bus-bra", 2 * 1875), ("bus-uclm", 2 * 683)],
    ids=str,
)
def test_a_manifest_lists_every_picture_of_the_release(name: str, pictures: int) -> None:
    lines = RELEASES[name].manifest.read_text(encoding="utf-8").splitlines()
    assert sum(line.endswith(".png") for line in lines) == pictures
    assert len({line.split("  ", 1)[1] for line in lines}) == len(lines)
