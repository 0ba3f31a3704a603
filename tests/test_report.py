"""The report of a tiny run, opened in a real headless Chromium."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import MadeOnce, barriers, dvc, run
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from breast_ultrasound.cases.folds import GROUPS
from breast_ultrasound.cases.raw import RAW, read_cases
from breast_ultrasound.pages.drawing import draw_test_images
from breast_ultrasound.pages.examples import draw_example
from breast_ultrasound.pages.facts import read_facts
from breast_ultrasound.pages.rendering import render
from breast_ultrasound.pipeline.params import load
from stages.report import Params, print_summary, tabulate_tested


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
    return scores[(scores["subset"] == "test") & (scores["postprocessing"] == "after")].set_index("id")


def visible(page: Chrome) -> list[str]:
    """The ids of the visible pictures, in order."""
    cases = page.find_elements(By.CSS_SELECTOR, ".case")
    return [str(case.get_attribute("data-id")) for case in cases if case.is_displayed()]


def listed(page: Chrome) -> list[str]:
    """The ids in the visible rows of the table, in order."""
    return [row.text for row in page.find_elements(By.CSS_SELECTOR, "#rows a")]


def every_picture(page: Chrome) -> list[str]:
    """The ids of all pictures that the controls select, in order, the first ones and those on demand."""
    more = page.find_element(By.ID, "more")
    if more.is_displayed():
        more.click()
    return visible(page)


def choose(page: Chrome, control: str, text: str) -> None:
    Select(page.find_element(By.ID, control)).select_by_visible_text(text)


def test_it_loads_every_test_image_without_an_error_or_a_network(page: Chrome, tested: pd.DataFrame) -> None:
    assert sorted(every_picture(page)) == sorted(tested.index)
    assert page.get_log("browser") == []
    assert (
        page.execute_script("return performance.getEntriesByType('resource').filter(r => /^http/.test(r.name)).length")
        == 0
    )
    assert not re.search(r"(src|href)=\"?https?:", page.page_source)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_tool_finds_no_barrier(small_page: Chrome, scheme: str) -> None:
    assert barriers(small_page, scheme) == []


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
    values = tested.loc[every_picture(page), column]
    assert values.is_monotonic_increasing if ascending else values.is_monotonic_decreasing


def test_the_gallery_comes_first_and_leaves_the_figures_near(page: Chrome, tested: pd.DataFrame) -> None:
    headings = [heading.get_attribute("id") for heading in page.find_elements(By.TAG_NAME, "h2")]
    assert headings[:3] == ["gallery", "charts", "figures"]
    assert len(visible(page)) == 12 < len(tested)
    page.find_element(By.ID, "more").click()
    assert len(visible(page)) == len(tested)
    assert not page.find_element(By.ID, "more").is_displayed()


def test_a_link_to_a_picture_that_is_not_among_the_first_reveals_it(page: Chrome) -> None:
    hidden = page.execute_script("return document.querySelector('.case[hidden]').id")
    page.execute_script(f"location.hash = '{hidden}'")
    WebDriverWait(page, 5).until(lambda _: page.switch_to.active_element.get_attribute("id") == hidden)
    assert page.switch_to.active_element.is_displayed()


def test_filters_and_search_select_pictures(page: Chrome, tested: pd.DataFrame) -> None:
    every_picture(page)
    choose(page, "class", "malignant")
    assert sorted(visible(page)) == sorted(tested.index[tested["class"] == "malignant"])
    assert page.find_element(By.ID, "count").text == f"{len(visible(page))} of {len(tested)} images"
    choose(page, "class", "all")
    kind = tested["kind"].iloc[0]
    choose(page, "kind", kind)
    assert sorted(visible(page)) == sorted(tested.index[tested["kind"] == kind])
    choose(page, "kind", "all")
    page.find_element(By.ID, "search").send_keys(tested.index[2])
    assert visible(page) == [tested.index[2]]


def test_arrow_keys_step_through_and_the_address_links_to_the_image(page: Chrome, report: Path) -> None:
    order = visible(page)
    ActionChains(page).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    focused = page.switch_to.active_element
    assert focused.get_attribute("data-id") == order[1]
    address = page.current_url
    assert address.endswith(str(focused.get_attribute("id")))
    page.get("about:blank")
    page.get(address)
    assert page.switch_to.active_element.get_attribute("data-id") == order[1]


def test_the_probability_and_the_mask_before_appear_on_demand(page: Chrome) -> None:
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


def test_the_contact_sheets_hold_every_near_duplicate_and_sweep(page: Chrome, report: Path) -> None:
    groups = pd.read_csv(report.parent.parent / "data" / "groups.csv")
    duplicated = int(groups["frame"].duplicated(keep=False).sum())
    sheets = page.execute_script("return document.querySelectorAll('#near-duplicates ~ .sheets figure').length")
    others = page.execute_script("return document.querySelectorAll('#sweeps ~ .sheets figure').length")
    flagged = page.execute_script("return document.querySelectorAll('#flagged ~ .sheets figure').length")
    assert sheets - others == duplicated
    frames = groups[~groups["frame"].duplicated()]
    assert others - flagged == int(frames["sweep"].duplicated(keep=False).sum())


def test_the_report_and_the_model_card_count_the_images_of_every_fold(page: Chrome, report: Path) -> None:
    summary = page.find_element(By.CSS_SELECTOR, "h1 + p").text
    assert "each fold trained on 8 images and validated on 8, tested on 16 in all (folds 0, 1 of 3)." in summary
    card = (report.parent / "model_card.md").read_text(encoding="utf-8")
    assert "\n- The network of each fold was trained on 8 images and chosen by 8 validation images; 16 images" in card


def test_more_images_than_the_gallery_holds_are_all_in_the_table(small_page: Chrome, tested: pd.DataFrame) -> None:
    assert len(visible(small_page)) == 4
    assert sorted(listed(small_page)) == sorted(tested.index)
    assert small_page.find_element(By.ID, "count").text == "16 of 16 images, 4 with a picture"
    assert "4 of 16 test images have a picture here: the 2 worst by Dice, 1 spread" in small_page.page_source
    first = small_page.find_element(By.CSS_SELECTOR, "#rows tr").text
    worst = tested.loc[listed(small_page)[0]]
    assert first.startswith(f"{worst.name} {worst['class']} {worst['kind']} ")


def test_contact_sheets_state_what_they_leave_out(small_page: Chrome, small_run: Path) -> None:
    groups = pd.read_csv(small_run / "data" / "groups.csv")
    duplicated = int(groups["frame"].duplicated(keep=False).sum())
    sheets = small_page.find_elements(By.CLASS_NAME, "sheet")
    assert [len(sheet.find_elements(By.TAG_NAME, "img")) for sheet in sheets] == [4, 4]
    assert sheets[0].text.endswith("and 2 more")
    assert f"{duplicated - 4} images are left out here" in small_page.page_source
    assert re.search(r"Of [678] images 4 are drawn, spread evenly over the flags", small_page.page_source)


def test_the_table_turns_pages_and_follows_the_controls(large_page: Chrome, tested: pd.DataFrame) -> None:
    assert large_page.get_log("browser") == []
    choose(large_page, "class", "normal")
    choose(large_page, "sort", "id")
    normal = sorted(tested.index[tested["class"] == "normal"], key=lambda case_id: int(case_id[8:-1]))
    assert large_page.find_element(By.ID, "count").text.startswith(f"{20000 + len(normal):,} of 20,016 images, ")
    first = listed(large_page)
    large_page.find_element(By.ID, "next").click()
    assert not set(listed(large_page)) & set(first)
    assert large_page.find_element(By.ID, "range").text == f"21 to 40 of {20000 + len(normal)}"
    large_page.find_element(By.ID, "previous").click()
    assert listed(large_page) == first
    large_page.find_element(By.ID, "search").send_keys("20999")
    assert listed(large_page) == ["normal (20999)"]
    assert visible(large_page) == []


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
    pictured = visible(small_page)[-1]
    small_page.find_element(By.ID, "search").send_keys(pictured)
    small_page.find_element(By.CSS_SELECTOR, "#rows a").click()
    assert small_page.switch_to.active_element.get_attribute("data-id") == pictured
    assert "case" in str(small_page.switch_to.active_element.get_attribute("class"))


def test_only_the_images_that_are_drawn_are_read(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_run)
    cases = read_cases(RAW)
    tested = tabulate_tested(pd.read_csv("metrics/scores.csv"), cases)
    for case in cases:
        if case.id != tested.index[-1]:
            case.image.unlink()
            case.image.write_text("not an image")
    assert list(draw_test_images(draw_example, tested["fold"][-1:], cases, "draw")) == [tested.index[-1]]


def test_the_model_card_and_the_examples_are_of_this_run(report: Path, tested: pd.DataFrame) -> None:
    card = (report.parent / "model_card.md").read_text(encoding="utf-8")
    assert f"| all | {len(tested)} |" in card
    assert "No medical device" in card
    # A heading stands apart, or some viewers take it for text.
    assert card.count("\n\n## ") == card.count("## ")
    lesions = int((tested["tp"] + tested["fn"] > 0).sum())
    assert len(list((report.parent / "examples").iterdir())) == min(30, lesions)


def test_a_page_of_dvc_without_a_network_refers_to_the_report(working_copy: Path, browser: Chrome) -> None:
    dvc(working_copy, "plots", "show", "--quiet")
    browser.get((working_copy / "dvc_plots" / "index.html").as_uri())
    assert "The charts are missing: they need a network." in browser.find_element(By.TAG_NAME, "body").text
    assert browser.page_source.index("vegaEmbed(") < browser.page_source.index("<img")
    # Reading the log empties it, for the tests that follow.
    assert "ERR_NAME_NOT_RESOLVED" in str(browser.get_log("browser"))


def test_the_end_of_a_run_names_the_report_by_an_address(
    report: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(report.parent.parent)
    print_summary(json.loads(Path("metrics/figures.json").read_text(encoding="utf-8")))
    assert capsys.readouterr().out.endswith(f"\nreport: {report.resolve().as_uri()}\n")


EMPTY_GALLERY = {"items": [], "reasons": {}, "tested": [], "classes": [], "width": 1}
EMPTY_SHEETS = {"near_duplicates": [], "sweeps": [], "flagged": [], "flagged_images": 0, "sheet_width": 1}


def render_report(facts: dict[str, Any]) -> str:
    """The report without pictures and charts."""
    return render("report.html.j2", params=load(Params), **facts, **EMPTY_GALLERY, **EMPTY_SHEETS, charts=[])


def test_where_class_and_mask_contradict_each_other_the_images_are_counted(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    facts = read_facts(load(Params).split.run, pd.read_csv(GROUPS))
    facts["figures"]["test"]["class against mask"] = {"lesion class, no lesion": 2, "normal, lesion": 1}
    assert "(empty in a lesion class: 2, not empty in the class normal: 1)" in render_report(facts)


@pytest.mark.parametrize("patients", [0, 3])
@pytest.mark.parametrize("several", [0, 2])
def test_a_blank_stands_between_all_sentences(
    clone: Path, monkeypatch: pytest.MonkeyPatch, patients: int, several: int
) -> None:
    monkeypatch.chdir(clone)
    facts = read_facts(load(Params).split.run, pd.read_csv(GROUPS))
    facts["audit"]["patients"], facts["audit"]["flagged"]["several_patients"] = patients, several
    text = re.sub(r"<script.*|<style>.*?</style>|</?[abi]\b[^>]*>", "", render_report(facts), flags=re.DOTALL)
    assert re.findall(r"[a-z)][.:;,][A-Z].{9}", text) == []
