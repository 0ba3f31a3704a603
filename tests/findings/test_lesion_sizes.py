import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.findings.lesions import diameters, find_lesions

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))
SOME = MASKS.filter(lambda mask: bool(mask.any()))


def of(mask: NDArray[np.bool_], mm_per_pixel: tuple[float, float] | None = None):
    return find_lesions(mask, np.where(mask, 200, 10).astype(np.uint8), mm_per_pixel)


def test_an_empty_mask_has_no_lesion() -> None:
    assert of(np.zeros((5, 7), bool)) == []


def test_a_single_pixel_is_a_lesion_as_long_as_its_diagonal() -> None:
    mask = np.zeros((5, 7), bool)
    mask[2, 4] = True
    (lesion,) = of(mask)
    assert (lesion.area, lesion.left, lesion.top, lesion.box_width, lesion.box_height) == (1, 4, 2, 1, 1)
    assert (lesion.centre_x, lesion.centre_y) == (4.5, 2.5)
    assert (lesion.longest, lesion.perpendicular) == pytest.approx((math.sqrt(2), math.sqrt(2)))
    assert (lesion.mean_probability, lesion.peak_probability) == (200 / 255, 200 / 255)
    assert (lesion.area_mm2, lesion.longest_mm, lesion.perpendicular_mm) == (None, None, None)


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_whole_image_is_as_long_as_its_diagonal(height: int, width: int) -> None:
    (lesion,) = of(np.ones((height, width), bool))
    diagonal = math.hypot(height, width)
    assert lesion.longest == pytest.approx(diagonal)
    assert lesion.perpendicular == pytest.approx(2 * height * width / diagonal)
    assert (lesion.centre_x, lesion.centre_y) == (width / 2, height / 2)


def test_a_disc_is_as_long_as_it_is_wide() -> None:
    y, x = np.mgrid[-50:51, -50:51]
    longest, perpendicular = diameters(x**2 + y**2 <= 45**2)
    assert longest == pytest.approx(91, abs=1)
    assert perpendicular == pytest.approx(91, abs=1)


def test_an_ellipse_has_the_lengths_of_its_axes_whichever_way_it_lies() -> None:
    y, x = np.mgrid[-80:81, -80:81]
    for angle in np.radians([0, 17, 45, 80]):
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        assert diameters((along / 70) ** 2 + (across / 30) ** 2 <= 1) == pytest.approx((141, 61), abs=2)


@given(SOME)
def test_turning_and_mirroring_change_no_size(mask: NDArray[np.bool_]) -> None:
    for turned in (np.rot90(mask), np.rot90(mask, 2), mask[:, ::-1], mask.T):
        assert diameters(turned) == pytest.approx(diameters(mask))


@given(SOME)
def test_the_diameters_bound_the_lesion(mask: NDArray[np.bool_]) -> None:
    longest, perpendicular = diameters(mask)
    rows, columns = np.nonzero(mask)
    spans = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(spans) <= longest + 1e-9
    assert longest <= math.hypot(*spans) + 1e-9
    assert perpendicular <= longest + 1e-9
    assert mask.sum() <= longest * perpendicular + 1e-9


@given(SOME, st.floats(0.01, 2))
def test_square_pixels_scale_all_lengths(mask: NDArray[np.bool_], side: float) -> None:
    for lesion in of(mask, (side, side)):
        assert lesion.longest_mm == pytest.approx(lesion.longest * side)
        assert lesion.perpendicular_mm == pytest.approx(lesion.perpendicular * side)
        assert lesion.area_mm2 == pytest.approx(lesion.area * side**2)


def test_pixels_that_are_not_square_are_measured_as_they_lie_in_the_body() -> None:
    assert diameters(np.ones((4, 30), bool), (0.5, 0.1)) == pytest.approx((math.hypot(2, 3), 12 / math.hypot(2, 3)))


@given(MASKS)
def test_lesions_share_out_the_pixels_of_the_mask_the_largest_first(mask: NDArray[np.bool_]) -> None:
    areas = [lesion.area for lesion in of(mask)]
    assert sum(areas) == mask.sum()
    assert areas == sorted(areas, reverse=True)


def test_pixels_that_touch_at_a_corner_are_one_lesion() -> None:
    assert len(of(np.eye(5, dtype=bool))) == 1


def test_each_lesion_has_its_own_probabilities() -> None:
    probability = np.array([[51, 255, 0, 102]], np.uint8)
    large, small = find_lesions(probability > 0, probability)
    assert (large.mean_probability, large.peak_probability) == pytest.approx((0.6, 1.0))
    assert (small.mean_probability, small.peak_probability) == pytest.approx((0.4, 0.4))
