from pathlib import Path

import numpy as np

from breast_ultrasound.cases.prepared import Prepared, letterboxes
from breast_ultrasound.sources.class_folders import list_cases
from stages.prepare import prepare


def test_arrays_and_index_have_a_row_for_each_image(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    folder.mkdir()
    prepare(list_cases(release), 32, folder)
    prepared = Prepared.open(folder)
    assert prepared.images.shape == prepared.masks.shape == (6, 32, 32)
    assert isinstance(prepared.images, np.memmap)
    assert set(np.unique(prepared.masks)) == {0, 1}
    assert prepared.index["id"].tolist() == [case.id for case in list_cases(release)]
    assert (prepared.masks.any(axis=(1, 2)) == (prepared.index["class"] != "normal")).all()
    for box in letterboxes(prepared.index):
        assert (box.height, box.width, box.content_height, box.content_width) == (40, 60, 21, 32)


def test_the_same_input_gives_the_same_bytes(release: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        prepare(list_cases(release), 32, tmp_path / name)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
