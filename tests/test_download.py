import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import write_params

from breast_ultrasound.cases.raw import Case, read_cases, read_sources, write_table
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.class_folders import list_cases
from breast_ultrasound.sources.phantom import LINEAR
from stages import download
from stages.download import Data, Params, source_name


def params(*sources: str | Path, **archives: str) -> Params:
    names = [str(source) for source in sources]
    data: dict[str, Any] = {"sources": names, "archives": archives, "max_gib": 1, "phantom_images": 20}
    return Params(seed=0, data=Data(**data), phantom=LINEAR)


def fetch(chosen: Params, folder: Path) -> Path:
    folder.mkdir()
    write_table(folder, download.fetch_cases(chosen, folder))
    return folder


@pytest.fixture
def other(release: Path) -> Path:
    """A copy of the release with a case table, whose patients have the names of the phantom's."""
    folder = shutil.copytree(release, release.parent / "other")
    lines = [f"benign/benign ({n}).png,benign/benign ({n})_mask.png,benign,P{n:04}" for n in (1, 2)]
    (folder / "cases.csv").write_text("\n".join(["image,masks,class,patient", *lines]))
    return folder


def test_the_phantom_comes_with_what_was_planted(tmp_path: Path) -> None:
    folder = fetch(params("phantom"), tmp_path / "raw")
    cases, planted = list_cases(folder), pd.read_csv(folder / "planted.csv")
    assert [case.id for case in cases] == planted["id"].tolist()
    assert planted["class"].value_counts().to_dict() == {"benign": 12, "malignant": 5, "normal": 3}
    assert [case.patient for case in read_cases(folder)] == planted["patient"].tolist()
    assert {case.source for case in read_cases(folder)} == {"phantom"}


def test_a_zip_and_a_folder_give_the_same_files(release: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "zipped" / "release"), "zip", tmp_path, "release")
    from_zip = fetch(params(tmp_path / "zipped" / "release.zip"), tmp_path / "one")
    from_folder = fetch(params(release), tmp_path / "two")
    files = [
        sorted(str(path.relative_to(root)) for path in root.rglob("*.png")) for root in (release, from_zip, from_folder)
    ]
    assert files[0] == files[1] == files[2]
    assert (from_zip / "cases.csv").read_bytes() == (from_folder / "cases.csv").read_bytes()
    assert not list(tmp_path.glob(".partial-*"))


def test_joined_sources_share_no_id_and_no_patient(release: Path, other: Path, tmp_path: Path) -> None:
    cases = read_cases(fetch(params("phantom", release, other), tmp_path / "raw"))
    assert len({case.id for case in cases}) == len(cases) == 20 + 6 + 2
    assert {case.source for case in cases} == {"phantom", "release", "other"}
    assert all(case.id.startswith(f"{case.source} ") for case in cases)
    assert all(path.exists() for case in cases for path in (case.image, *case.masks))
    patients = {case.source: {each.patient for each in cases if each.source == case.source} for case in cases}
    assert patients["release"] == {""}
    assert patients["other"] == {"other P0001", "other P0002"}
    assert not patients["phantom"] & patients["other"]


def test_the_order_of_the_sources_changes_nothing(release: Path, other: Path, tmp_path: Path) -> None:
    one, two = (
        fetch(params(*sources), tmp_path / name)
        for name, sources in (("one", (release, other)), ("two", (other, release)))
    )
    assert (one / "cases.csv").read_bytes() == (two / "cases.csv").read_bytes()


def test_a_source_that_a_table_names_is_kept(other: Path, tmp_path: Path) -> None:
    head = "image,masks,class,source,device,birads\n"
    (other / "cases.csv").write_text(f"{head}normal/normal (1).png,,normal,North,007,4a\n")
    [case] = read_cases(fetch(params(other), tmp_path / "raw"))
    assert (case.source, case.device, case.birads) == ("North", "007", "4a")


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="clinic is the name of more than one"):
        params("a/clinic.zip", "b/clinic")


def test_a_source_is_named_for_its_folder_or_file() -> None:
    assert [source_name(source) for source in ("busi", "phantom", "a/North.zip", "a/cases.csv", "a/other.csv")] == [
        "busi",
        "phantom",
        "North",
        "a",
        "other",
    ]


def test_a_name_that_is_no_source_and_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'bus_bra' is none of phantom, busi, bus-bra, bus-uclm, and no file"):
        fetch(params("bus_bra"), tmp_path / "raw")


def test_the_sources_are_described_with_their_licence(release: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "checkout").mkdir()
    write_params(tmp_path / "checkout", data={"sources": [str(release)]})
    monkeypatch.chdir(tmp_path / "checkout")
    download.main()
    [described] = read_sources(Path("data/raw"))
    assert (described.name, described.images, described.licence) == ("release", 6, "")
    cases = [Case("a", "benign", Path("a.png"), (), source=name) for name in ("bus-uclm", "busi", "busi")]
    uclm, busi = download.describe_sources(cases)
    assert (uclm.name, uclm.images, busi.name, busi.images) == ("bus-uclm", 1, "busi", 2)
    assert all(source.licence and source.citation and source.page.startswith("https://") for source in (uclm, busi))


def test_the_folder_that_was_named_stays_as_it_was(release: Path, tmp_path: Path) -> None:
    before = sorted(release.rglob("*"))
    fetch(params(release), tmp_path / "raw")
    assert sorted(release.rglob("*")) == before


def test_an_unreadable_image_is_refused_by_name(release: Path, tmp_path: Path) -> None:
    (release / "malignant" / "malignant (2)_mask.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(UserError, match=r"malignant \(2\)_mask\.png: not a readable image"):
        fetch(params(release), tmp_path / "raw")


def test_all_normal_images_with_a_lesion_are_refused_by_name(release: Path, tmp_path: Path) -> None:
    lesion = release / "benign" / "benign (1)_mask.png"
    for mask in ("normal (1)_mask.png", "normal (2)_mask_1.png"):
        shutil.copyfile(lesion, release / "normal" / mask)
    with pytest.raises(UserError, match=r"^normal/normal \(1\)\.png, normal/normal \(2\)\.png: filed as normal"):
        fetch(params(release), tmp_path / "raw")


def test_a_lesion_image_with_an_empty_mask_is_taken(release: Path, tmp_path: Path) -> None:
    shutil.copyfile(release / "normal" / "normal (1)_mask.png", release / "benign" / "benign (1)_mask.png")
    assert len(list_cases(fetch(params(release), tmp_path / "raw"))) == 6


def test_other_data_named_busi_is_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not the BUSI release, missing: .*; altered: "):
        fetch(params("busi", busi=str(release)), tmp_path / "raw")


def test_a_refused_download_leaves_what_was_there(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "data" / "raw").mkdir(parents=True)
    (checkout / "data" / "raw" / "before").touch()
    write_params(checkout, data={"sources": [str(release)]})
    (release / "benign" / "benign (1)_mask.png").unlink()
    monkeypatch.chdir(checkout)
    with pytest.raises(SystemExit) as end:
        download.main()
    assert "benign (1).png: has no mask" in str(end.value.code)
    assert [path.name for path in Path("data").rglob("*")] == ["raw", "before"]
