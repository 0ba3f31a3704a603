import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from breast_ultrasound.answers.postprocess import Steps, binary_mask, cut

LENGTHS, SHARES = st.sampled_from([0, 0.005, 0.02]), st.sampled_from([0, 0.01, 0.3, 0.8])
STEPS = st.builds(
    Steps,
    smooth=LENGTHS,
    threshold=st.sampled_from([0.2, 0.5, 0.8]),
    relative=SHARES,
    peak=SHARES,
    opening=LENGTHS,
    closing=LENGTHS,
    fill_holes=st.booleans(),
    part_area=LENGTHS,
    largest_only=st.booleans(),
    evidence=SHARES,
    image_probability=SHARES,
)


def scene() -> NDArray[np.uint8]:
    """Return a large certain part with a hole, a large doubtful part, and a certain speck, on a grid of 100."""
    probability = np.zeros((100, 100), np.uint8)
    probability[10:50, 10:50] = 250
    probability[28:31, 28:31] = 20
    probability[60:90, 60:90] = 150
    probability[5:7, 90:92] = 255
    return probability


def parts(steps: Steps) -> tuple[bool, bool, bool, bool]:
    """Return whether the certain part, its hole, the doubtful part and the speck are in the mask."""
    mask = binary_mask(scene(), steps)
    return bool(mask[20, 20]), bool(mask[29, 29]), bool(mask[70, 70]), bool(mask[5, 90])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (Steps(), (True, False, True, True)),
        (Steps(threshold=0.7), (True, False, False, True)),
        (Steps(peak=0.8), (True, False, False, True)),
        (Steps(fill_holes=True), (True, True, True, True)),
        (Steps(closing=0.03), (True, True, True, True)),
        (Steps(opening=0.02), (True, False, True, False)),
        (Steps(part_area=0.01), (True, False, True, False)),
        (Steps(largest_only=True), (True, False, False, False)),
        (Steps(evidence=0.8), (True, False, True, True)),
        (Steps(evidence=0.9), (False, False, False, False)),
    ],
)
def test_each_step_keeps_and_removes_its_own_parts(steps: Steps, expected: tuple[bool, ...]) -> None:
    assert parts(steps) == expected


def test_smoothing_rounds_corners_and_keeps_the_place() -> None:
    sharp, smooth = binary_mask(scene(), Steps()), binary_mask(scene(), Steps(smooth=0.02))
    assert sharp[10, 10]
    assert not smooth[10, 10]
    # At most the outlines, of 280 pixels, move by one.
    assert (sharp ^ smooth).sum() <= 280


def test_a_part_at_the_edge_survives_a_closing() -> None:
    probability = np.zeros((50, 50), np.uint8)
    probability[:, :10] = 255
    assert np.array_equal(binary_mask(probability, Steps(closing=0.1)), probability > 0)


@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))), STEPS)
def test_any_steps_on_any_image_give_a_mask_of_its_shape(probability: NDArray[np.uint8], steps: Steps) -> None:
    mask = binary_mask(probability, steps)
    assert mask.shape == probability.shape
    assert mask.dtype == bool
    assert not binary_mask(np.zeros_like(probability), steps).any()


@given(st.integers(1, 99).map(lambda percent: percent / 100))
def test_a_pixel_is_lesion_from_the_threshold_on(threshold: float) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(binary_mask(levels, Steps(threshold=threshold))[0], np.arange(256) / 255 >= threshold - 1e-12)
    assert cut(0) == 0


def test_a_doubtful_lesion_is_drawn_where_the_image_holds_one_almost_certainly() -> None:
    faint = scene() // 3
    assert not binary_mask(faint, Steps(), image_probability=1).any()
    assert binary_mask(faint, Steps(relative=0.5), image_probability=0.95)[20, 20]
    assert not binary_mask(faint, Steps(relative=0.5), image_probability=0.85).any()
    # Where the network is certain, the threshold stands.
    assert np.array_equal(binary_mask(scene(), Steps(relative=0.9)), binary_mask(scene(), Steps()))


def test_a_relative_threshold_never_draws_where_there_is_no_probability() -> None:
    assert not binary_mask(np.zeros((5, 5), np.uint8), Steps(relative=0.3), image_probability=1).any()


@pytest.mark.parametrize(("image_probability", "kept"), [(0.29, False), (0.3, True), (1.0, True)])
def test_the_mask_is_emptied_where_a_lesion_is_unlikely(image_probability: float, kept: bool) -> None:
    assert binary_mask(scene(), Steps(image_probability=0.3), image_probability).any() == kept
