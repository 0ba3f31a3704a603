"""Numbers in a page, and pictures small enough to lie inside it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.pages.overlay import contour_path
from breast_ultrasound.pages.rendering import jpeg, outline, render, shrink, shrink_mask, signed


@given(st.floats(-1, 1))
def test_a_difference_looks_like_none_only_where_there_is_none(difference: float) -> None:
    text = signed(difference)
    assert (text == "0") == (abs(difference) < 1e-12)
    assert (float(text) == 0) == (text == "0")
    assert float(text) == pytest.approx(difference, abs=0.0005)


def test_the_outline_of_a_lesion_is_drawn_on_the_grid_of_the_picture() -> None:
    mask = np.zeros((300, 400), bool)
    mask[100:200, 80:220] = True
    assert outline(mask, 320) == contour_path(shrink_mask(mask, 320))
    assert outline(np.zeros((300, 400), bool), 320) == ""


@pytest.mark.parametrize("shape", [(300, 400), (900, 60)])
def test_the_outlines_of_countless_specks_stay_small_and_inside_the_picture(shape: tuple[int, int]) -> None:
    specks = np.random.default_rng(1).random(shape) < 0.5
    path = outline(specks, 320)
    assert 0 < len(path) <= 10_000 < len(contour_path(shrink_mask(specks, 320)))
    corners = np.array([point.split() for point in path.replace("M", "L").replace("Z", "").split("L")[1:]], float)
    assert (corners < [320, 320 * shape[0] / shape[1] + 8]).all()
    assert (corners[:, 0].min() < 20) & (corners[:, 0].max() > 300)


@pytest.mark.parametrize(("shape", "height"), [((1, 5000), 1), ((300, 400), 240), ((5000, 1), 3200)])
def test_pictures_of_any_shape_fit_into_a_page_with_their_outlines(shape: tuple[int, int], height: int) -> None:
    picture = shrink(np.full(shape, 90, np.uint8), 320)
    assert picture.shape == (height, 320)
    assert jpeg(picture)
    corners = outline(np.ones(shape, bool), 320).strip("MZ").split("L")
    assert max(float(corner.split()[1]) for corner in corners) == height - 0.5


def test_names_with_html_are_text_in_a_page() -> None:
    name = "<img src=x onerror=alert(1)>"
    run = SimpleNamespace(name=name)
    comparison = SimpleNamespace(
        first=run,
        second=run,
        images=1,
        left_out=[name],
        several_patients={name: 1},
        changes={name: []},
        changes_by_source={name: []},
    )
    page = render(
        "compare.html.j2",
        comparison=comparison,
        confidence=0.95,
        rows={"gained": [], "lost": []},
        pictures=SimpleNamespace(by_run={}, lacking={"first": name}),
        width=320,
    )
    assert name not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 8
