import shutil
from pathlib import Path

import pandas as pd
import pytest

from breast_ultrasound.cases.raw import read_cases, write_table
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.phantom import LINEAR
from breast_ultrasound.sources.release import scan
from stages import download
from stages.download import Data


def custom(archive: Path) -> Data:
    return Data(source="custom", archive=str(archive), max_gib=1, phantom_images=20)


def bring(data: Data, folder: Path) -> Path:
    folder.mkdir()
    write_table(folder, download.bring(data, LINEAR, 0, folder))
    return folder


def test_the_phantom_comes_with_what_was_planted(tmp_path: Path) -> None:
    folder = bring(Data(source="phantom", archive=None, max_gib=1, phantom_images=20), tmp_path / "raw")
    cases, planted = scan(folder), pd.read_csv(folder / "planted.csv")
    assert [case.id for case in cases] == planted["id"].tolist()
    assert planted["class"].value_counts().to_dict() == {"benign": 12, "malignant": 5, "normal": 3}
    assert [case.patient for case in read_cases(folder)] == planted["patient"].tolist()


def test_a_zip_and_a_folder_give_the_same_files(release: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path, "release")
    from_zip = bring(custom(tmp_path / "data.zip"), tmp_path / "one")
    from_folder = bring(custom(release), tmp_path / "two")
    files = [
        sorted(str(path.relative_to(root)) for path in root.rglob("*.png")) for root in (release, from_zip, from_folder)
    ]
    assert files[0] == files[1] == files[2]
    assert (from_zip / "cases.csv").read_bytes() == (from_folder / "cases.csv").read_bytes()
    assert not list(tmp_path.glob(".partial-*"))


def test_the_folder_that_was_named_stays_as_it_was(release: Path, tmp_path: Path) -> None:
    before = sorted(release.rglob("*"))
    bring(custom(release), tmp_path / "raw")
    assert sorted(release.rglob("*")) == before


def test_an_archive_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.zip does not exist"):
        bring(custom(tmp_path / "nowhere.zip"), tmp_path / "raw")


def test_an_unreadable_image_is_refused_by_name(release: Path, tmp_path: Path) -> None:
    (release / "malignant" / "malignant (2)_mask.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(UserError, match=r"malignant \(2\)_mask\.png: not a readable image"):
        bring(custom(release), tmp_path / "raw")


def test_all_normal_images_with_a_lesion_are_refused_by_name(release: Path, tmp_path: Path) -> None:
    lesion = release / "benign" / "benign (1)_mask.png"
    for mask in ("normal (1)_mask.png", "normal (2)_mask_1.png"):
        shutil.copyfile(lesion, release / "normal" / mask)
    with pytest.raises(UserError, match=r"^normal/normal \(1\)\.png, normal/normal \(2\)\.png: filed as normal"):
        bring(custom(release), tmp_path / "raw")


def test_a_lesion_image_with_an_empty_mask_is_brought(release: Path, tmp_path: Path) -> None:
    shutil.copyfile(release / "normal" / "normal (1)_mask.png", release / "benign" / "benign (1)_mask.png")
    assert len(scan(bring(custom(release), tmp_path / "raw"))) == 6


def test_other_data_named_busi_is_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not the BUSI release, missing: .* and 15.. more"):
        bring(custom(release).model_copy(update={"source": "busi"}), tmp_path / "raw")


def test_a_refused_download_leaves_what_was_there(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = Path("params.yaml").read_text(encoding="utf-8")
    checkout = tmp_path / "checkout"
    (checkout / "data" / "raw").mkdir(parents=True)
    (checkout / "data" / "raw" / "before").touch()
    (checkout / "params.yaml").write_text(
        values.replace("source: phantom", "source: custom").replace("archive: null", f"archive: {release}")
    )
    (release / "benign" / "benign (1)_mask.png").unlink()
    monkeypatch.chdir(checkout)
    with pytest.raises(SystemExit) as end:
        download.main()
    assert "benign (1).png: has no mask" in str(end.value.code)
    assert [path.name for path in Path("data").rglob("*")] == ["raw", "before"]
