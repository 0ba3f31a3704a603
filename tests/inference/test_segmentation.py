from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_network import write_dark_network

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.inference.exported import ExportedNetwork, open_network
from breast_ultrasound.inference.output import Output
from breast_ultrasound.inference.segmentation import compute_output, interpret, segment
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.scans.scan import Frame, Region


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> ExportedNetwork:
    """A network that takes dark pixels for lesion."""
    path = tmp_path_factory.mktemp("network") / "dark.onnx"
    write_dark_network(path)
    return open_network(path)


def bright_frame_with_a_dark_square() -> Frame:
    """A frame whose region starts at (10, 20); outside of it the frame is black."""
    whole = np.zeros((120, 160), np.uint8)
    whole[10:110, 20:140] = 200
    whole[40:60, 50:80] = 10
    return Frame(whole, 3, Region(10, 20, 100, 120), (0.2, 0.1))


def test_the_mask_lies_on_the_whole_frame_and_black_outside_the_region_is_no_lesion(network: ExportedNetwork) -> None:
    segmented = segment(bright_frame_with_a_dark_square(), network)
    square = np.zeros((120, 160), bool)
    square[40:60, 50:80] = True
    assert segmented.mask.shape == segmented.probability.shape == (120, 160)
    assert (segmented.mask != square).mean() < 0.01
    (lesion,) = segmented.lesions
    assert lesion.area_mm2 == pytest.approx(lesion.area * 0.02)
    assert (segmented.number, segmented.mm_per_pixel) == (3, (0.2, 0.1))
    assert segmented.class_probabilities == pytest.approx({"benign": 0.7, "malignant": 0.2, "normal": 0.1})
    assert segmented.image_probability == pytest.approx(0.9)
    assert 0 <= segmented.predicted_dice <= 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (500, 2), (64, 64)])
def test_a_frame_of_any_size_gives_a_mask_of_its_size(network: ExportedNetwork, shape: tuple[int, int]) -> None:
    segmented = segment(Frame.without_region(np.full(shape, 10, np.uint8), number=1), network)
    assert segmented.mask.shape == shape
    assert segmented.mask.all()


def test_post_processing_that_is_given_goes_before_that_of_the_network(network: ExportedNetwork) -> None:
    frame = bright_frame_with_a_dark_square()
    strict = replace(network.card.postprocessing, steps=Steps(threshold=0.99))
    assert segment(frame, network).lesions
    assert not segment(frame, network, strict).lesions


def test_an_output_is_interpreted_without_the_pixels_of_its_frame(network: ExportedNetwork) -> None:
    frame = bright_frame_with_a_dark_square()
    without_pixels = replace(frame, whole=np.broadcast_to(np.uint8(0), frame.whole.shape))
    again = interpret(without_pixels, compute_output(frame, network), network.card.postprocessing)
    at_once = segment(frame, network)
    assert np.array_equal(again.mask, at_once.mask)
    assert (again.lesions, again.predicted_dice) == (at_once.lesions, at_once.predicted_dice)


@given(st.integers(0, 255), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_the_peak_of_a_frame_is_the_highest_probability_of_the_native_grid(level: int, shape: tuple[int, int]) -> None:
    grid: Grey = np.zeros((64, 64), np.uint8)
    grid[32, 32] = level
    frame = Frame.without_region(np.zeros(shape, np.uint8), number=1)
    output = Output(grid, np.empty(0, np.float32))
    segmented = interpret(frame, output, Postprocessing(Steps(threshold=0.02)))
    assert segmented.peak_probability == segmented.probability.max() / 255 <= level / 255
    if segmented.lesions:
        assert max(lesion.peak_probability for lesion in segmented.lesions) == segmented.peak_probability
