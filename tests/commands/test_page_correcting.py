"""Masks corrected on the page by real pointers and keys, in Chromium."""

import csv
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import barriers
from page_client import Served, serve
from page_in_browser import choose, text, wait, wait_for_list
from scan_files import clip_bytes, picture_bytes
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from breast_ultrasound.commands.page import desk
from breast_ultrasound.commands.page.edges import edges_of
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.output import Output
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.scans.scan import Frame

HEIGHT, WIDTH = 300, 400


def scan(brightness: int = 180, lesion: tuple[slice, slice] = (slice(100, 200), slice(130, 260))) -> np.ndarray:
    """A dark lesion on tissue."""
    image = np.full((HEIGHT, WIDTH), brightness, np.uint8)
    image[lesion] = 20
    return image


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "model", tmp_path / "kept") as page:
        yield page


@pytest.fixture
def page(browser: Chrome, served: Served) -> Chrome:
    browser.get(f"http://127.0.0.1:{served.port}/")
    wait(browser, "document.getElementById('view').dataset.tool")
    # Clears it of what other tests logged.
    browser.get_log("browser")
    return browser


def open_scans(page: Chrome, folder: Path, *images: np.ndarray) -> None:
    """Drop images, named a.png, b.png and so on, and wait for the mask of the first."""
    paths = [folder / f"{letter}.png" for letter, _ in zip("abcdef", images, strict=False)]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(picture_bytes(image))
    choose(page, *paths)
    wait_for_list(page, *["predicted Dice"] * len(images))
    wait_for_mask(page)


def wait_for_mask(page: Chrome) -> None:
    wait(page, "!document.getElementById('accept').disabled")


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page).send_keys(*keys).perform()


def drag(page: Chrome, *points: tuple[int, int]) -> None:
    """Press the mouse at a point of the image, move it along the others and release it."""
    view = page.find_element(By.ID, "view")
    scale = view.size["width"] / WIDTH
    places = [(round(scale * (x - WIDTH / 2)), round(scale * (y - HEIGHT / 2))) for x, y in points]
    actions = ActionChains(page, duration=20).move_to_element_with_offset(view, *places[0]).click_and_hold()
    for place in places[1:]:
        actions.move_to_element_with_offset(view, *place)
    actions.release().perform()


def accept(page: Chrome) -> None:
    """Accept by the key, and wait until it is kept."""
    before = int(text(page, "folder-count"))
    press(page, "a")
    wait(page, f"document.getElementById('folder-count').textContent === '{before + 1}'")


def kept(served: Served, name: str) -> tuple[dict[str, str], Mask, Mask]:
    """The row of a case, its mask and that of the network."""
    with (served.folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["id"] == name]
    masks = [
        np.asarray(cv2.imread(str(served.folder / row[column]), cv2.IMREAD_UNCHANGED)) > 0
        if row[column]
        else np.zeros((HEIGHT, WIDTH), bool)
        for column in ("masks", "network_mask")
    ]
    return row, masks[0], masks[1]


def test_a_key_accepts_the_mask_as_it_is_and_shows_the_next(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan(180), scan(181))
    accept(page)
    wait(page, "document.getElementById('name').textContent === 'b.png'")
    row, mask, by_network = kept(served, "a")
    assert (row["class"], row["verdict"]) == ("benign", "accepted")
    assert (mask == by_network).all()
    assert mask.any()
    assert text(page, "kept-count") == "1 of 2 images kept"
    assert "✓ accepted as benign" in text(page, "scans")
    assert all(entry["level"] != "SEVERE" for entry in page.get_log("browser"))


def test_where_all_are_kept_the_next_to_come_is_shown(
    page: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    compute = desk.compute_output

    def second_late(frame: Frame, network: ExportedNetwork) -> Output:
        assert frame.whole[0, 0] == 180 or go_on.wait(30)
        return compute(frame, network)

    monkeypatch.setattr(desk, "compute_output", second_late)
    for name, brightness in (("a.png", 180), ("b.png", 181)):
        (tmp_path / name).write_bytes(picture_bytes(scan(brightness)))
    choose(page, tmp_path / "a.png", tmp_path / "b.png")
    wait_for_mask(page)
    accept(page)
    go_on.set()
    wait(page, "document.getElementById('name').textContent === 'b.png'")


def test_images_of_the_same_pixels_are_one_case(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan(), scan())
    press(page, "b")
    drag(page, (40, 40), (90, 40))
    accept(page)
    assert text(page, "kept-count") == "2 of 2 images kept"
    press(page, Keys.ARROW_DOWN)
    wait(page, "document.getElementById('name').textContent === 'b.png'")
    wait_for_mask(page)
    press(page, "a")
    wait(page, "document.getElementById('notice').textContent === 'All are kept.'")
    assert kept(served, "a")[0]["verdict"] == "corrected"


def test_brush_and_eraser_change_the_mask_where_the_pointer_went(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "b")
    drag(page, (40, 40), (90, 40))
    press(page, "e")
    drag(page, (195, 150), (195, 151))
    accept(page)
    row, mask, by_network = kept(served, "a")
    assert row["verdict"] == "corrected"
    added, removed = mask & ~by_network, by_network & ~mask
    rows, columns = np.nonzero(added)
    assert (columns.min(), columns.max()) == (pytest.approx(30, abs=2), pytest.approx(99, abs=2))
    assert (rows.min(), rows.max()) == (pytest.approx(30, abs=2), pytest.approx(49, abs=2))
    rows, columns = np.nonzero(removed)
    assert (rows.mean(), columns.mean()) == (pytest.approx(150, abs=2), pytest.approx(195, abs=2))
    assert removed.sum() == pytest.approx(np.pi * 10**2, rel=0.15)


def test_undo_and_redo_go_through_all_steps(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "b")
    drag(page, (40, 40), (90, 40))
    drag(page, (40, 260), (90, 260))
    press(page, "z", "z")
    assert not page.find_element(By.ID, "undo").is_enabled()
    press(page, "y")
    accept(page)
    _, mask, by_network = kept(served, "a")
    assert (mask & ~by_network)[:100].any()
    assert not (mask & ~by_network)[200:].any()


def test_a_polygon_is_closed_by_its_first_corner_a_hole_filled_a_lesion_deleted(
    page: Chrome, served: Served, tmp_path: Path
) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "d")
    drag(page, (195, 150))
    press(page, "p")
    corners = [(100, 100), (200, 100), (200, 200), (100, 200)]
    for corner in (*corners, corners[0]):
        drag(page, corner)
    press(page, "e")
    drag(page, (150, 150), (151, 150))
    press(page, "f")
    drag(page, (150, 150))
    accept(page)
    _, mask, by_network = kept(served, "a")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[100:200, 100:200] = True
    assert (mask ^ expected).sum() < 2 * 4 * 100
    assert mask[130:170, 130:170].all()
    assert by_network[150, 250]
    assert not mask[150, 250]


def test_enter_closes_a_polygon_whose_tool_was_chosen_by_its_button(page: Chrome, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    page.find_element(By.CSS_SELECTOR, "button[data-tool=polygon]").click()
    for corner in ((20, 20), (80, 20), (80, 80)):
        drag(page, corner)
    press(page, Keys.ENTER)
    assert page.find_element(By.ID, "undo").is_enabled()


def test_the_class_is_that_of_a_key_and_a_contradiction_is_named(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "3", "a")
    wait(page, "document.getElementById('notice').textContent.includes('Not kept: A normal image has no lesion')")
    press(page, "2")
    accept(page)
    assert kept(served, "a")[0]["class"] == "malignant"


def test_an_image_without_a_mark_is_proposed_as_normal(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "d")
    drag(page, (195, 150))
    accept(page)
    row, mask, _ = kept(served, "a")
    assert (row["class"], row["masks"], mask.any()) == ("normal", "", False)


def test_a_second_start_goes_on_with_the_first_that_is_not_kept(
    page: Chrome, served: Served, tmp_path: Path, browser: Chrome
) -> None:
    open_scans(page, tmp_path, scan(180), scan(181), scan(182))
    press(page, "b")
    drag(page, (40, 40), (90, 40))
    accept(page)
    with serve(tmp_path / "model", served.folder) as second:
        browser.get(f"http://127.0.0.1:{second.port}/")
        open_scans(browser, tmp_path, scan(180), scan(181), scan(182))
        wait(browser, "document.getElementById('name').textContent === 'b.png'")
        assert text(browser, "kept-count") == "1 of 3 images kept"
        press(browser, Keys.ARROW_UP)
        wait(browser, "document.getElementById('name').textContent === 'a.png'")
        wait_for_mask(browser)
        assert not browser.find_element(By.ID, "undo").is_enabled()
        before = kept(served, "a")
        press(browser, "a")
        wait(browser, "document.getElementById('name').textContent === 'b.png'")
        after = kept(served, "a")
        assert (after[1] == before[1]).all()
        assert after[0]["verdict"] == "corrected"


def test_the_last_mask_of_a_clip_is_carried_over_by_a_key(page: Chrome, served: Served, tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").write_bytes(clip_bytes([scan(180), scan(170), scan(160)]))
    choose(page, tmp_path / "loop.mp4")
    wait_for_list(page, "3 of 3 frames")
    wait_for_mask(page)
    press(page, "b")
    drag(page, (40, 40), (90, 40))
    accept(page)
    wait(page, "document.getElementById('frame-value').value === '2 of 3'")
    wait_for_mask(page)
    press(page, "l")
    accept(page)
    wait(page, "document.getElementById('frame-value').value === '3 of 3'")
    assert (kept(served, "loop 00001")[1] == kept(served, "loop 00002")[1]).all()
    assert "✓ 2 of 3 kept" in text(page, "scans")


def test_the_wheel_sets_the_size_and_zooms_with_ctrl(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "b")
    view = page.find_element(By.ID, "view")
    origin = ScrollOrigin.from_element(view, -view.size["width"] // 4, 0)
    ActionChains(page).scroll_from_origin(origin, 0, -500).perform()
    assert page.find_element(By.ID, "size").get_attribute("value") == "54"
    ActionChains(page).key_down(Keys.CONTROL).scroll_from_origin(origin, 0, -500).key_up(Keys.CONTROL).perform()
    drag(page, (100, 150))
    accept(page)
    _, mask, by_network = kept(served, "a")
    rows, columns = np.nonzero(mask & ~by_network)
    assert (rows.mean(), columns.mean()) == (pytest.approx(150, abs=2), pytest.approx(100, abs=2))


def touch(page: Chrome, kind: str, *points: tuple[float, float]) -> None:
    fingers = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_a_finger_draws_and_two_fingers_zoom(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "b")
    box = page.execute_script("return document.getElementById('view').getBoundingClientRect().toJSON()")
    x, y = box["x"] + box["width"] / 5, box["y"] + box["height"] / 5
    touch(page, "touchStart", (x, y))
    touch(page, "touchMove", (x + 30, y))
    touch(page, "touchEnd")
    assert page.find_element(By.ID, "undo").is_enabled()
    press(page, "z")
    touch(page, "touchStart", (x, y))
    touch(page, "touchStart", (x, y), (x + 50, y))
    touch(page, "touchMove", (x, y), (x + 150, y))
    touch(page, "touchEnd")
    wait(page, "document.getElementById('view').classList.contains('zoomed')")
    assert not page.find_element(By.ID, "undo").is_enabled()


def pen(page: Chrome, *points: tuple[int, int]) -> None:
    """Put a pen down at a point of the image, press harder along the others and lift it."""
    box = page.execute_script("return document.getElementById('mask').getBoundingClientRect().toJSON()")
    scale = box["width"] / WIDTH

    def send(kind: str, point: tuple[int, int], force: float) -> None:
        place = {"x": box["x"] + scale * point[0], "y": box["y"] + scale * point[1]}
        button = {"button": "left", "buttons": int(force > 0), "clickCount": 1}
        event = {"type": kind, "pointerType": "pen", "force": force, **place, **button}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    for step, point in enumerate(points, 1):
        send("mouseMoved" if step > 1 else "mousePressed", point, step / len(points))
    send("mouseReleased", points[-1], 0)


def test_a_pen_draws_and_the_ball_of_its_hand_does_not(page: Chrome, served: Served, tmp_path: Path) -> None:
    open_scans(page, tmp_path, scan())
    page.execute_script("""
        window.pens = [];
        const view = document.getElementById("view");
        const keep = (event) => window.pens.push([event.pointerType, event.pressure]);
        for (const kind of ["pointerdown", "pointermove"]) view.addEventListener(kind, keep);""")
    press(page, "b")
    pen(page, (40, 40), (65, 40), (90, 40))
    assert page.execute_script("return window.pens") == [["pen", pytest.approx(step / 3)] for step in (1, 2, 3)]
    box = page.execute_script("return document.getElementById('view').getBoundingClientRect().toJSON()")
    palm = box["x"] + box["width"] / 5, box["y"] + 0.9 * box["height"]
    touch(page, "touchStart", palm)
    touch(page, "touchMove", (palm[0] + 50, palm[1]))
    touch(page, "touchEnd")
    accept(page)
    _, mask, by_network = kept(served, "a")
    rows, columns = np.nonzero(mask & ~by_network)
    assert (columns.min(), columns.max()) == (pytest.approx(30, abs=2), pytest.approx(99, abs=2))
    assert (rows.min(), rows.max()) == (pytest.approx(30, abs=2), pytest.approx(49, abs=2))


def test_the_list_is_sorted_by_what_is_doubtful(page: Chrome, tmp_path: Path) -> None:
    sharp, faint = scan(250), scan(150)
    open_scans(page, tmp_path, sharp, faint)
    order = page.find_element(By.ID, "order")
    for name, first in (("low predicted Dice", "b.png"), ("as they came", "a.png")):
        order.find_element(By.XPATH, f"option[. = '{name}']").click()
        assert page.find_element(By.CSS_SELECTOR, "#scans button").text.startswith(first)


OPERATIONS = """
    const [operation, edges, height, width, values] = arguments;
    const done = arguments[arguments.length - 1];
    import("/page/mask.js").then((mask) => {
      const bounds = { left: 1, top: 1, right: width - 1, bottom: height - 1 };
      const sheet = { mask: new Uint8Array(height * width), width, height, bounds };
      mask.fromEdges(edges, sheet.mask);
      if (operation) mask[operation](sheet, ...values);
      done(mask.toEdges(sheet.mask));
    });"""


@pytest.fixture
def operate(page: Chrome) -> Callable[..., list[int]]:
    """Apply an operation of mask.js to a mask, and return the edges of what it is then.

    The page has loaded this script; its policy would let a test load no other.
    """
    return lambda mask, operation, *values: page.execute_async_script(
        OPERATIONS, operation, edges_of(mask), *mask.shape, values
    )


def test_operations_on_masks_are_those_of_opencv_and_stay_within_bounds(operate: Callable[..., list[int]]) -> None:
    rng = np.random.default_rng(0)
    inner = np.zeros((12, 16), bool)
    inner[1:-1, 1:-1] = True
    for _ in range(15):
        mask = inner & (rng.random(inner.shape) < 0.5)
        y, x = int(rng.integers(1, 11)), int(rng.integers(1, 15))
        point = {"x": x + 0.3, "y": y + 0.6}
        assert operate(mask, None) == edges_of(mask)
        lesions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
        assert operate(mask, "deleteLesion", point) == edges_of(mask & ((lesions != lesions[y, x]) | ~mask[y, x]))
        holes = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)[1]
        hole = (holes == holes[y, x]) & ~mask[y, x]
        assert operate(mask, "fillHole", point) == edges_of(mask if (hole & ~inner).any() else mask | hole)
        rows, columns = np.mgrid[:12, :16] + 0.5
        near = np.hypot(rows - point["y"], np.clip(columns, point["x"], point["x"] + 4) - columns) <= 2.2
        end = {**point, "x": point["x"] + 4}
        assert operate(mask, "paintLine", point, end, 2.2, 1) == edges_of(mask | (near & inner))
        corners = rng.uniform(0, 14, (5, 2))
        inside = np.zeros(mask.shape, bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            crossed = (y0 <= rows) != (y1 <= rows)
            inside ^= crossed & (columns >= x0 + (rows - y0) / (y1 - y0) * (x1 - x0))
        polygon = [{"x": x, "y": y} for x, y in corners.tolist()]
        assert operate(mask, "fillPolygon", polygon) == edges_of(mask | (inside & inner))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_tool_finds_no_barrier(page: Chrome, tmp_path: Path, scheme: str) -> None:
    open_scans(page, tmp_path, scan())
    press(page, "b")
    assert barriers(page, scheme) == []


def test_it_fits_a_phone(page: Chrome, tmp_path: Path) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_scans(page, tmp_path, scan())
        assert wait(page, "document.documentElement.scrollWidth <= 360")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
