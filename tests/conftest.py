"""What several tests build on: a small release on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Write = Callable[[str, NDArray[Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an image to a path below tmp_path, making its folders."""

    def write_image(name: str, pixels: NDArray[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write_image


@pytest.fixture
def release(write: Write, tmp_path: Path) -> Path:
    """A release of six images, two of each class, one of them with two masks."""
    rng = np.random.default_rng(0)
    for cls in ("benign", "malignant", "normal"):
        for number in (1, 2):
            write(f"release/{cls}/{cls} ({number}).png", rng.integers(1, 255, (40, 60), dtype=np.uint8))
            write(f"release/{cls}/{cls} ({number})_mask.png", rectangle(40, 60, slice(5, 15), empty=cls == "normal"))
    write("release/benign/benign (2)_mask_1.png", rectangle(40, 60, slice(20, 30)))
    return tmp_path / "release"


def rectangle(height: int, width: int, rows: slice, empty: bool = False) -> NDArray[np.uint8]:
    """A mask 0/255 with a rectangle ten columns wide."""
    mask = np.zeros((height, width), np.uint8)
    mask[rows, 10:20] = 0 if empty else 255
    return mask
