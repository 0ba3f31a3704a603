import numpy as np

from breast_ultrasound.exporting.feature_distance import fit_feature_distance

RNG = np.random.default_rng(0)
SCALES = np.array([1, 5, 0.2, 1])


def distances(features: np.ndarray, reference: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The distances of features from those of a reference."""
    distance = fit_feature_distance(reference.astype(np.float32), groups)
    assert distance is not None
    return np.linalg.norm((features - distance.mean) @ distance.whitening, axis=1)


def test_one_new_image_in_a_hundred_lies_beyond_the_distance_of_one() -> None:
    reference, new = RNG.normal(3, SCALES, (2000, 4)), RNG.normal(3, SCALES, (20000, 4))
    beyond = (distances(new, reference, np.arange(2000)) > 1).mean()
    assert 0.005 < beyond < 0.02


def test_images_elsewhere_lie_beyond_it_and_each_feature_counts_by_its_own_spread() -> None:
    reference = RNG.normal(3, SCALES, (500, 4))
    # Five standard deviations along the widest and along the narrowest feature.
    elsewhere = 3 + np.diag(5 * SCALES)[[1, 2]]
    assert (distances(elsewhere, reference, np.arange(500)) > 1).all()


def test_the_distance_is_fitted_for_images_of_other_groups() -> None:
    """Frames of one lesion are alike: were it fitted on them, a new lesion would lie too far."""
    lesions = RNG.normal(0, 1, (60, 4))
    groups = np.repeat(np.arange(60), 10)
    reference = lesions[groups] + RNG.normal(0, 0.01, (600, 4))
    new = RNG.normal(0, 1, (5000, 4))
    apart = (distances(new, reference, np.arange(600)) > 1).mean()
    together = (distances(new, reference, groups) > 1).mean()
    assert together < apart


def test_images_of_a_single_group_have_no_distance() -> None:
    assert fit_feature_distance(np.zeros((3, 4), np.float32), np.zeros(3, np.int64)) is None
