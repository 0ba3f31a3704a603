"""The report of a tiny run, opened in a real headless Chromium."""

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import MadeOnce, run
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.pages.overlay import PREDICTION, TRUTH, contour_path, overlay
from breast_ultrasound.pages.rendering import render
from breast_ultrasound.pipeline.params import load
from stages.report import Params, draw, draw_example, facts, tabulate


@pytest.fixture(scope="module")
def report(clone: Path) -> Path:
    """The report of the tiny run."""
    return clone / "metrics" / "report.html"


@pytest.fixture
def page(browser: Chrome, report: Path) -> Chrome:
    """The report, freshly loaded."""
    return opened(browser, report)


@pytest.fixture(scope="session")
def small_run(clone: Path, made_once: MadeOnce) -> Path:
    """The tiny run as if a group of six images and six flagged ones were in it, its report of 4 pictures a section."""

    def make(copy: Path) -> None:
        shutil.copytree(clone, copy)
        values = yaml.safe_load((copy / "params.yaml").read_text(encoding="utf-8"))
        values["report"]["gallery"] = 4
        (copy / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        groups = pd.read_csv(copy / "data" / "groups.csv")
        groups.loc[:5, ["frame", "similarity"]] = [100, 0.9]
        groups.loc[6:11, "low_contrast"] = 1
        groups.to_csv(copy / "data" / "groups.csv", index=False)
        run(copy, sys.executable, "-m", "stages.report")

    return made_once("small-report", make)


@pytest.fixture
def small_page(browser: Chrome, small_run: Path) -> Chrome:
    """The report of at most 4 pictures a section, freshly loaded."""
    return opened(browser, small_run / "metrics" / "report.html")


@pytest.fixture
def large_page(browser: Chrome, small_run: Path, tmp_path: Path) -> Chrome:
    """The same report, as if 20,000 more images had been tested: normal (1001) to normal (21000)."""
    page = (small_run / "metrics" / "report.html").read_text(encoding="utf-8")
    more = [[f"normal ({number})", "normal", "good", 1, 1, 0, 0] for number in range(1001, 21001)]
    rows = '<script type="application/json" id="tested">['
    assert page.count(rows) == 1
    (tmp_path / "large.html").write_text(page.replace(rows, rows + json.dumps(more)[1:-1] + ","), encoding="utf-8")
    return opened(browser, tmp_path / "large.html")


def opened(browser: Chrome, file: Path) -> Chrome:
    """A browser with a page freshly loaded."""
    browser.get("about:blank")
    browser.get(file.as_uri())
    return browser


@pytest.fixture(scope="module")
def tested(report: Path) -> pd.DataFrame:
    """The scores of the test images after post-processing."""
    scores = pd.read_csv(report.parent / "scores.csv")
    return scores[(scores["subset"] == "test") & (scores["stage"] == "after")].set_index("id")


def shown(page: Chrome) -> list[str]:
    """The ids of the images that can be seen, in order."""
    cases = page.find_elements(By.CSS_SELECTOR, ".case")
    return [str(case.get_attribute("data-id")) for case in cases if case.is_displayed()]


def listed(page: Chrome) -> list[str]:
    """The ids in the rows of the table that can be seen, in order."""
    return [row.text for row in page.find_elements(By.CSS_SELECTOR, "#rows a")]


def choose(page: Chrome, control: str, text: str) -> None:
    Select(page.find_element(By.ID, control)).select_by_visible_text(text)


def test_it_loads_every_test_image_without_an_error_or_a_network(page: Chrome, tested: pd.DataFrame) -> None:
    assert sorted(shown(page)) == sorted(tested.index)
    assert page.get_log("browser") == []
    assert (
        page.execute_script("return performance.getEntriesByType('resource').filter(r => /^http/.test(r.name)).length")
        == 0
    )
    assert not re.search(r"(src|href)=\"?https?:", page.page_source)


def test_every_picture_has_alt_text_and_loads(page: Chrome) -> None:
    page.execute_script("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    script = "return [...document.images].filter(i => i.alt && i.naturalWidth > 0).length"
    total = page.execute_script("return document.images.length")
    for _ in range(50):
        if page.execute_script(script) == total:
            break
    assert page.execute_script(script) == total > 0


@pytest.mark.parametrize(
    ("text", "column", "ascending"),
    [("Dice, worst first", "dice", True), ("lesion, largest first", "lesion_share", False)],
)
def test_sorting_changes_the_order(page: Chrome, tested: pd.DataFrame, text: str, column: str, ascending: bool) -> None:
    choose(page, "sort", text)
    values = tested.loc[shown(page), column]
    assert values.is_monotonic_increasing if ascending else values.is_monotonic_decreasing


def test_filters_and_search_change_what_is_shown(page: Chrome, tested: pd.DataFrame) -> None:
    choose(page, "class", "malignant")
    assert sorted(shown(page)) == sorted(tested.index[tested["class"] == "malignant"])
    assert page.find_element(By.ID, "shown").text == f"{len(shown(page))} of {len(tested)} images"
    choose(page, "class", "all")
    kind = tested["kind"].iloc[0]
    choose(page, "kind", kind)
    assert sorted(shown(page)) == sorted(tested.index[tested["kind"] == kind])
    choose(page, "kind", "all")
    page.find_element(By.ID, "search").send_keys(tested.index[2])
    assert shown(page) == [tested.index[2]]


def test_arrow_keys_step_through_and_the_address_links_to_the_image(page: Chrome, report: Path) -> None:
    order = shown(page)
    ActionChains(page).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    focused = page.switch_to.active_element
    assert focused.get_attribute("data-id") == order[1]
    address = page.current_url
    assert address.endswith(str(focused.get_attribute("id")))
    page.get("about:blank")
    page.get(address)
    assert page.switch_to.active_element.get_attribute("data-id") == order[1]


def test_the_probability_and_the_mask_before_can_be_shown(page: Chrome) -> None:
    before, after = (page.find_element(By.CSS_SELECTOR, f".case figcaption .{name}") for name in ("before", "after"))
    probability = page.find_element(By.CSS_SELECTOR, ".case .probability")
    assert (before.is_displayed(), after.is_displayed(), probability.is_displayed()) == (False, True, False)
    page.find_element(By.ID, "before").click()
    page.find_element(By.ID, "probability").click()
    assert (before.is_displayed(), after.is_displayed(), probability.is_displayed()) == (True, False, True)


def test_it_fits_a_phone(page: Chrome) -> None:
    page.set_window_size(500, 900)
    try:
        wider = page.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
    finally:
        page.set_window_size(1200, 900)
    assert wider <= 0


def test_the_contact_sheets_show_every_repeat(page: Chrome, report: Path) -> None:
    groups = pd.read_csv(report.parent.parent / "data" / "groups.csv")
    repeated = int(groups["frame"].duplicated(keep=False).sum())
    sheets = page.execute_script("return document.querySelectorAll('#repeats ~ .sheet figure').length")
    others = page.execute_script("return document.querySelectorAll('#sweeps ~ .sheet figure').length")
    flagged = page.execute_script("return document.querySelectorAll('#flagged ~ .sheet figure').length")
    assert sheets - others == repeated
    frames = groups[~groups["frame"].duplicated()]
    assert others - flagged == int(frames["sweep"].duplicated(keep=False).sum())


def test_the_report_and_the_model_card_tell_the_images_of_every_fold(page: Chrome, report: Path) -> None:
    told = page.find_element(By.CSS_SELECTOR, "h1 + p").text
    assert "each fold trained on 8 images and validated on 8, tested on 16 in all (folds 0, 1 of 3)." in told
    card = (report.parent / "model_card.md").read_text(encoding="utf-8")
    assert "\n- Each fold trained on 8 images and chosen by 8 validation images; tested on 16 in all.\n" in card


def test_more_images_than_the_gallery_holds_are_all_in_the_table(small_page: Chrome, tested: pd.DataFrame) -> None:
    assert len(shown(small_page)) == 4
    assert sorted(listed(small_page)) == sorted(tested.index)
    assert small_page.find_element(By.ID, "shown").text == "16 of 16 images, 4 with a picture"
    assert "4 of 16 test images have a picture here: the 2 worst by Dice, 1 spread" in small_page.page_source
    first = small_page.find_element(By.CSS_SELECTOR, "#rows tr").text
    worst = tested.loc[listed(small_page)[0]]
    assert first.startswith(f"{worst.name} {worst['class']} {worst['kind']} ")


def test_contact_sheets_say_what_they_leave_out(small_page: Chrome, small_run: Path) -> None:
    groups = pd.read_csv(small_run / "data" / "groups.csv")
    repeated = int(groups["frame"].duplicated(keep=False).sum())
    sheets = small_page.find_elements(By.CLASS_NAME, "sheet")
    assert [len(sheet.find_elements(By.TAG_NAME, "img")) for sheet in sheets] == [4, 4]
    assert sheets[0].text.endswith("and 2 more")
    assert f"{repeated - 4} images are left out here" in small_page.page_source
    assert re.search(r"4 of [678] are shown, spread evenly over the flags", small_page.page_source)


def test_the_table_turns_pages_and_follows_the_controls(large_page: Chrome, tested: pd.DataFrame) -> None:
    assert large_page.get_log("browser") == []
    choose(large_page, "class", "normal")
    choose(large_page, "sort", "id")
    normal = sorted(tested.index[tested["class"] == "normal"], key=lambda case_id: int(case_id[8:-1]))
    assert large_page.find_element(By.ID, "shown").text.startswith(f"{20000 + len(normal):,} of 20,016 images, ")
    first = listed(large_page)
    large_page.find_element(By.ID, "next").click()
    assert not set(listed(large_page)) & set(first)
    assert large_page.find_element(By.ID, "range").text == f"21 to 40 of {20000 + len(normal)}"
    large_page.find_element(By.ID, "previous").click()
    assert listed(large_page) == first
    large_page.find_element(By.ID, "search").send_keys("20999")
    assert listed(large_page) == ["normal (20999)"]
    assert shown(large_page) == []


def test_a_link_to_an_image_without_a_picture_finds_its_row(large_page: Chrome) -> None:
    address = large_page.current_url + "#image-normal-20999"
    large_page.get("about:blank")
    large_page.get(address)
    assert large_page.switch_to.active_element.text.startswith("normal (20999) normal good")
    choose(large_page, "class", "benign")
    large_page.execute_script("location.hash = 'image-normal-1005'")
    assert "normal (1005)" in listed(large_page)
    assert large_page.switch_to.active_element.get_attribute("id") == "image-normal-1005"


def test_a_row_that_was_searched_for_leads_to_the_picture(small_page: Chrome) -> None:
    pictured = shown(small_page)[-1]
    small_page.find_element(By.ID, "search").send_keys(pictured)
    small_page.find_element(By.CSS_SELECTOR, "#rows a").click()
    assert small_page.switch_to.active_element.get_attribute("data-id") == pictured
    assert "case" in str(small_page.switch_to.active_element.get_attribute("class"))


def test_only_the_images_that_are_drawn_are_read(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_run)
    cases = read_cases(RAW)
    tested = tabulate(pd.read_csv("metrics/scores.csv"), cases)
    for case in cases:
        if case.id != tested.index[-1]:
            case.image.unlink()
            case.image.write_text("not an image")
    assert list(draw(draw_example, tested[-1:], cases, "draw")) == [tested.index[-1]]


def test_the_model_card_and_the_examples_are_of_this_run(report: Path, tested: pd.DataFrame) -> None:
    card = (report.parent / "model_card.md").read_text(encoding="utf-8")
    assert f"| all | {len(tested)} |" in card
    assert "No medical device" in card
    # A heading stands apart, or some viewers take it for text.
    assert card.count("\n\n## ") == card.count("## ")
    lesions = int((tested["tp"] + tested["fn"] > 0).sum())
    assert len(list((report.parent / "examples").iterdir())) == 3 * min(10, lesions)


def test_what_class_and_mask_say_otherwise_is_told(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    known = facts(load(Params), pd.read_csv(GROUPS))
    known["figures"]["test"]["class against mask"] = {"lesion class, no lesion": 2, "normal, lesion": 1}
    shown = {"items": [], "reasons": {}, "tested": [], "repeats": [], "flagged": [], "flagged_images": 0, "charts": []}
    shown |= {"classes": [], "sweeps": []}
    shown |= {"truth": TRUTH, "prediction": PREDICTION}
    page = render("report.html.j2", **known, **shown, width=1, sheet_width=1)
    assert "(empty in a lesion class: 2, not empty in the class normal: 1)" in page


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
    drawn = overlay(image, [(mask, PREDICTION)])
    assert drawn.shape == (50, 60, 3)
    assert (drawn[45, 5] == 90).all()
    # Smoothed lines blend with what is below.
    assert abs(drawn[10, 30].astype(int) - PREDICTION).max() < 40
