import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import IMAGES, INDEX, MASKS, Prepared

COUNT, SIZE = 512, 256


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Images of 32 MiB, each as bright as its row modulo 256, and as many masks."""
    rows = np.arange(COUNT, dtype=np.uint8)[:, None, None]
    np.save(tmp_path / IMAGES, np.tile(rows, (1, SIZE, SIZE)))
    np.save(tmp_path / MASKS, np.tile(rows % 2, (1, SIZE, SIZE)))
    row = {"id": "benign (1)", "class": "benign"} | Letterbox.fit(SIZE, SIZE, SIZE).geometry()
    pd.DataFrame([row] * COUNT).to_csv(tmp_path / INDEX, index=False)
    return Prepared.open(tmp_path)


def resident_of_files() -> int:
    """Bytes of files that lie in this process's memory."""
    return 1024 * int(re.findall(r"RssFile:\s*(\d+)", Path("/proc/self/status").read_text())[0])


def test_rows_are_read_in_the_order_asked_for(prepared: Prepared) -> None:
    images, masks = prepared.read(np.array([300, 7]))
    assert images[:, 0, 0].tolist() == [300 % 256, 7]
    assert masks[:, -1, -1].tolist() == [0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what the disk gave to a process")
def test_of_a_disk_no_more_is_read_than_asked_for(prepared: Prepared, tmp_path: Path) -> None:
    def given() -> int:
        return int(re.findall(r"read_bytes: (\d+)", Path("/proc/self/io").read_text())[0])

    for name in (IMAGES, MASKS):
        with (tmp_path / name).open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    rows, before = np.arange(0, COUNT, COUNT // 8), given()
    prepared.read(rows)
    # Nothing, where the files lie in memory.
    assert given() - before < 1.5 * 2 * len(rows) * SIZE**2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what of a process's memory is of files")
def test_what_was_read_does_not_stay_in_memory(prepared: Prepared) -> None:
    before = resident_of_files()
    for row in range(COUNT):
        prepared.read(np.array([row]))
    assert resident_of_files() - before < 2 << 20
