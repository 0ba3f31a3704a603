import keras
import numpy as np
import pytest
from keras import ops

from breast_ultrasound.training.augment import Augment, augment

OFF = {"flip": 0.0, "rotate": 0.0, "scale": 0.0, "stretch": 0.0, "shift": 0.0}
GREY_OFF = {"gamma": 0.0, "contrast": 0.0, "speckle": 0.0}


def limits(**changed: float) -> Augment:
    return Augment(**{**OFF, **GREY_OFF, **changed})


def batch(images: int = 8, size: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images that are bright exactly where the mask is, on grey ground, with padding above, and where they lie."""
    rng = np.random.default_rng(0)
    masks = np.zeros((images, size, size, 1), np.float32)
    for mask in masks:
        row, column = rng.integers(16, 32, 2)
        mask[row : row + 12, column : column + 18] = 1
    grey = 80 + 120 * masks
    content = np.ones_like(masks)
    grey[:, :4] = content[:, :4] = 0
    return grey, masks, content


def changed(limits: Augment, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    images, masks = augment(*batch(), limits, keras.random.SeedGenerator(seed))
    return ops.convert_to_numpy(images), ops.convert_to_numpy(masks)


def test_nothing_changes_with_every_limit_at_zero() -> None:
    images, masks = changed(limits())
    assert np.allclose(images, batch()[0], atol=1e-3)
    assert np.array_equal(masks, batch()[1])


@pytest.mark.parametrize("change", [{"flip": 1.0}, {"rotate": 20.0}, {"scale": 0.3}, {"stretch": 0.3}, {"shift": 0.2}])
def test_image_and_mask_move_together(change: dict[str, float]) -> None:
    images, masks = changed(limits(**change))
    assert not np.array_equal(masks, batch()[1])
    # Half-covered pixels of an outline may fall on either side.
    assert ((images > 140) != (masks > 0)).mean() < 0.005
    assert set(np.unique(masks)) == {0, 1}


def test_a_flip_mirrors_left_and_right_and_keeps_depth() -> None:
    images, masks = changed(limits(flip=1.0))
    assert np.allclose(images, batch()[0][:, :, ::-1], atol=1e-3)
    assert np.array_equal(masks, batch()[1][:, :, ::-1])


@pytest.mark.parametrize("change", [{"gamma": 0.5}, {"contrast": 0.4}, {"speckle": 0.2}])
def test_grey_values_change_and_masks_and_padding_do_not(change: dict[str, float]) -> None:
    images, masks = changed(limits(**change))
    assert np.array_equal(masks, batch()[1])
    assert not np.allclose(images[:, 4:], batch()[0][:, 4:], atol=1)
    assert not images[:, :4].any()
    assert images.min() >= 0
    assert images.max() <= 255


def test_black_pixels_of_the_image_change_as_their_neighbours_do_and_padding_does_not() -> None:
    images, masks, content = batch()
    images[:, 40:] = 0
    changes = limits(contrast=0.8)
    grey = ops.convert_to_numpy(augment(images, masks, content, changes, keras.random.SeedGenerator(1))[0])
    images[:, 40:] = 1
    lighter = ops.convert_to_numpy(augment(images, masks, content, changes, keras.random.SeedGenerator(1))[0])
    assert grey[:, 40:].max() > 5
    assert np.allclose(grey[:, 40:], lighter[:, 40:], atol=2)
    assert not grey[:, :4].any()


def test_the_same_key_gives_the_same_changes_and_each_image_its_own() -> None:
    every = limits(flip=0.5, rotate=10, scale=0.2, stretch=0.1, shift=0.1, gamma=0.3, contrast=0.2, speckle=0.1)
    (one, _), (same, _), (other, _) = (changed(every, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(
        changed(limits(shift=0.2))[0][0] - batch()[0][0], changed(limits(shift=0.2))[0][1] - batch()[0][1]
    )
