import numpy as np
import pytest

from breast_ultrasound.auditing.quality import BURNED_PIXELS, border_pixels, burned_pixels, contrast, mask_parts
from breast_ultrasound.sources.phantom.drawing import draw_frame
from breast_ultrasound.sources.phantom.marks import draw_marks
from breast_ultrasound.sources.phantom.volume import Slice


def test_marks_differ_from_speckle() -> None:
    marked, clean = [], []
    for seed in range(60):
        picture = draw_frame(("benign", "malignant", "normal")[seed % 3], Slice((seed,)))
        clean.append(burned_pixels(picture.image) < BURNED_PIXELS)
        marked.append(burned_pixels(draw_marks(picture, np.random.default_rng(seed))) >= BURNED_PIXELS)
    assert np.mean(marked) >= 0.95
    assert np.mean(clean) >= 0.95


def test_contrast_is_the_range_without_the_extremes() -> None:
    assert contrast(np.full((10, 10), 80, np.uint8)) == 0
    assert contrast(np.tile(np.arange(101, dtype=np.uint8), (3, 1))) == 90


def test_parts_count_diagonal_neighbours_as_one() -> None:
    mask = np.zeros((6, 6), bool)
    assert mask_parts(mask) == 0
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    assert mask_parts(mask) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (4, 7)])
def test_border_pixels_of_a_full_mask_are_its_outline(shape: tuple[int, int]) -> None:
    height, width = shape
    inner = max(0, height - 2) * max(0, width - 2)
    assert border_pixels(np.ones(shape, bool)) == height * width - inner
    assert border_pixels(np.zeros(shape, bool)) == 0
