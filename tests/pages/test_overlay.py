"""Contours of masks, as paths and on pictures."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.pages.overlay import PREDICTION, contour_path, overlay


@given(arrays(bool, (8, 9)))
def test_filling_the_contour_path_gives_the_mask_back(mask: NDArray[np.bool_]) -> None:
    rings = [
        np.array([[float(number) - 0.5 for number in point.split()] for point in ring.split("L")])
        .round()
        .astype(np.int32)
        for ring in contour_path(mask).replace("Z", "").split("M")[1:]
    ]
    filled = np.zeros(mask.shape, np.uint8)
    for ring in rings:
        cv2.fillPoly(filled, [ring], 1)
    assert (filled >= mask).all()
    assert bool(rings) == mask.any()


def test_an_overlay_keeps_the_picture_and_draws_the_outline() -> None:
    image, mask = np.full((50, 60), 90, np.uint8), np.zeros((50, 60), bool)
    mask[10:30, 20:40] = True
    picture = overlay(image, [(mask, PREDICTION)])
    assert picture.shape == (50, 60, 3)
    assert (picture[45, 5] == 90).all()
    # Smoothed lines blend with what is below.
    assert abs(picture[10, 30].astype(int) - PREDICTION).max() < 40
