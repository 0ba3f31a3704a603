import numpy as np
import pytest

from breast_ultrasound.repeats.quality import BURNED_PIXELS, border_pixels, burned_pixels, contrast, parts
from breast_ultrasound.sources import phantom


def test_marks_are_told_from_speckle() -> None:
    marked, clean = [], []
    for seed in range(60):
        picture = phantom.draw_frame(("benign", "malignant", "normal")[seed % 3], phantom.Slice((seed,)))
        clean.append(burned_pixels(picture.image) < BURNED_PIXELS)
        marked.append(burned_pixels(phantom.draw_marks(picture, np.random.default_rng(seed))) >= BURNED_PIXELS)
    assert np.mean(marked) >= 0.95
    assert np.mean(clean) >= 0.95


def test_contrast_is_the_range_without_the_extremes() -> None:
    assert contrast(np.full((10, 10), 80, np.uint8)) == 0
    assert contrast(np.tile(np.arange(101, dtype=np.uint8), (3, 1))) == 90


def test_parts_count_diagonal_neighbours_as_one() -> None:
    mask = np.zeros((6, 6), bool)
    assert parts(mask) == 0
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    assert parts(mask) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (4, 7)])
def test_border_pixels_of_a_full_mask_are_its_outline(shape: tuple[int, int]) -> None:
    height, width = shape
    inner = max(0, height - 2) * max(0, width - 2)
    assert border_pixels(np.ones(shape, bool)) == height * width - inner
    assert border_pixels(np.zeros(shape, bool)) == 0
