import numpy as np
import pytest

from breast_ultrasound.cases.domain_shifts import DOMAIN_SHIFTS, apply_domain_shift


def scan(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)


@pytest.mark.parametrize("scanner", DOMAIN_SHIFTS)
@pytest.mark.parametrize("shape", [(40, 60), (1, 1), (1, 300)])
def test_an_image_changes_its_grey_values_and_keeps_its_shape(scanner: str, shape: tuple[int, int]) -> None:
    image = scan(*shape)
    changed = apply_domain_shift(scanner, image)
    assert changed.shape == shape
    assert changed.dtype == np.uint8
    assert shape != (40, 60) or not np.array_equal(changed, image)


def test_each_scanner_changes_what_its_name_says() -> None:
    image = scan()
    assert apply_domain_shift("gain", image).mean() > image.mean() + 10
    assert apply_domain_shift("contrast", image).std() == pytest.approx(0.6 * image.std(), rel=0.02)
    assert apply_domain_shift("blur", image).std() < 0.9 * image.std()
    deep = apply_domain_shift("depth", image)
    assert np.array_equal(deep[0], image[0])
    assert deep[-1].mean() == pytest.approx(0.4 * image[-1].mean(), abs=1)
