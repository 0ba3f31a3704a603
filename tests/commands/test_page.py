"""The page as it runs: asked over HTTP, and looked at in Chromium."""

import csv
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from conftest import ROOT, run
from onnx_network import write_dark_network
from PIL import Image
from scan_files import PLANTED, clip_bytes, dicom_bytes, picture_bytes, regions, saved, scan_image, with_a_patient
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

LOOP = [np.roll(scan_image(64, 96), 5 * step, axis=1) for step in range(5)]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a page that runs, with a network that takes dark pixels for lesion."""
    model = tmp_path_factory.mktemp("model") / "dark.onnx"
    write_dark_network(model)
    command = (sys.executable, "-m", "breast_ultrasound.commands.page.command", "--port", "0", "--model", str(model))
    page = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert page.stdout
    assert page.stdout.readline() == f"{model}: the network given by --model.\n"
    first = page.stdout.readline()
    assert first.startswith("page: http://127.0.0.1:"), first + page.stdout.read()
    yield int(first.split()[1].rpartition(":")[2])
    page.send_signal(signal.SIGINT)
    rest = page.communicate(timeout=60)[0]
    assert (rest, page.returncode) == ("", 0)


class Reply:
    """The page's reply to a request."""

    def __init__(self, port: int, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()


def get(port: int, path: str, **headers: str) -> Reply:
    return Reply(port, "GET", path, b"", **headers)


def drop(port: int, name: str, content: bytes) -> list[dict[str, Any]]:
    reply = Reply(port, "POST", f"/scans?name={quote(name)}", content)
    assert reply.status == 200, reply.body
    return [json.loads(line) for line in reply.body.splitlines()]


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))


def test_a_dropped_dicom_object_is_segmented_and_measured_in_millimetres(port: int) -> None:
    scan, frame = drop(port, "a.dcm", dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((10, 5, 79, 54))))
    assert (scan["name"], scan["length"]) == ("a.dcm", 1)
    assert (frame["height"], frame["width"]) == (60, 90)
    assert frame["classes"] == pytest.approx({"benign": 0.7, "malignant": 0.2, "normal": 0.1})
    [lesion] = json.loads(get(port, f"/scans/{scan['key']}/1?threshold=0.5").body)["lesions"]
    assert lesion["area"] == pytest.approx(20 * 30, rel=0.1)
    assert lesion["area_mm2"] == pytest.approx(lesion["area"] * 0.2 * 0.1)
    assert lesion["left"] == pytest.approx(30, abs=2)
    assert np.array_equal(decoded(get(port, f"/scans/{scan['key']}/1.png").body), scan_image())


def test_the_threshold_decides_what_is_lesion(port: int) -> None:
    scan, _ = drop(port, "a.png", picture_bytes(scan_image()))
    counts = [
        len(json.loads(get(port, f"/scans/{scan['key']}/1?threshold={threshold}").body)["lesions"])
        for threshold in (0.5, 0.98)
    ]
    assert counts == [1, 0]


def test_masks_annotations_and_findings_of_all_scans_are_downloaded(port: int) -> None:
    keys = [
        drop(port, name, content)[0]["key"]
        for name, content in (
            ("a.png", picture_bytes(scan_image())),
            ("a.dcm", dicom_bytes([scan_image()])),
            ("乳 房.mp4", clip_bytes(LOOP)),
        )
    ]
    query = "&".join([f"key={key}" for key in keys] + ["threshold=0.5"])
    with zipfile.ZipFile(io.BytesIO(get(port, f"/masks.zip?{query}").body)) as archive:
        names = archive.namelist()
        assert names == ["a.png", "a (2).png", *(f"乳 房_frames/{number:05}.png" for number in range(1, 6))]
        mask = decoded(archive.read("a.png"))
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask > 0) ^ (scan_image() < 100)).mean() < 0.03
    coco = json.loads(get(port, f"/coco.json?{query}").body)
    assert [image["file_name"] for image in coco["images"]] == names
    assert {annotation["image_id"] for annotation in coco["annotations"]} == set(range(1, 8))
    table = list(csv.DictReader(get(port, f"/findings.csv?{query}").body.decode().splitlines()))
    assert [row["mask"] for row in table] == names
    assert [row["image"] for row in table] == ["a.png", "a.dcm", *["乳 房.mp4"] * 5]
    rows = json.loads(get(port, f"/findings.json?{query}").body)
    assert [row["frame"] for row in rows] == [1, 1, 1, 2, 3, 4, 5]


def test_findings_of_a_scan_are_those_that_segment_writes(port: int, tmp_path: Path) -> None:
    scans = {
        "still.png": picture_bytes(scan_image()),
        "clean.png": picture_bytes(np.maximum(scan_image(), 140)),
        "object.dcm": dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((10, 5, 79, 54))),
        "loop.mp4": clip_bytes(LOOP),
    }
    for name, content in scans.items():
        (tmp_path / name).write_bytes(content)
    write_dark_network(tmp_path / "dark.onnx")
    command = (sys.executable, "-m", "breast_ultrasound.commands.segment.command")
    run(tmp_path, *command, *scans, "--model", "dark.onnx", PYTHONPATH=str(ROOT))
    keys = [drop(port, name, content)[0]["key"] for name, content in scans.items()]
    query = "&".join([f"key={key}" for key in keys] + ["threshold=0.5"])
    on_page = json.loads(get(port, f"/findings.json?{query}").body)
    written = json.loads((tmp_path / "segmented/findings.json").read_text(encoding="utf-8"))
    assert sorted(on_page, key=lambda row: (row["mask"], row["lesion"])) == written
    assert list(on_page[0]) == list(written[0])
    assert {row["lesion"] for row in written} == {0, 1}


def two_pages_of_different_size() -> bytes:
    first, second = (Image.fromarray(scan_image(*shape)) for shape in ((60, 90), (30, 40)))
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=[second])
    return file.getvalue()


def test_what_cannot_be_read_is_reported_in_a_line_and_the_page_goes_on(port: int) -> None:
    scan, frame, last = drop(port, "pages.tif", two_pages_of_different_size())
    assert (scan["name"], frame["number"]) == ("pages.tif", 1)
    assert last["error"].startswith("pages.tif: page 2 has another size")
    for name, content, message in (
        ("../\n\x1b[31mname.dcm", b"nothing", "[31mname.dcm: not a readable DICOM object"),
        ("ct.dcm", dicom_bytes([scan_image()], Modality="CT"), "ct.dcm: its modality is CT"),
        ("large.png", picture_bytes(np.zeros((5000, 5000), np.uint8)), "5000×5000 pixels are more than"),
        ("empty.png", b"", "empty.png: not a readable image"),
    ):
        [line] = drop(port, name, content)
        assert message in line["error"]
        assert line["error"].isprintable()
    assert len(drop(port, "good.png", picture_bytes(scan_image()))) == 2


def test_a_removed_scan_is_gone(port: int) -> None:
    key = drop(port, "a.png", picture_bytes(scan_image()))[0]["key"]
    assert Reply(port, "DELETE", f"/scans/{key}").status == 204
    for path in (f"/scans/{key}/1.png", f"/scans/{key}/1?threshold=0.5", f"/coco.json?key={key}&threshold=0.5"):
        assert get(port, path).status == 404
    assert get(port, "/scans/guess/1.png").status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.org"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_or_name_is_refused(port: int, headers: dict[str, str]) -> None:
    assert get(port, "/", **headers).status == 403
    refused = Reply(port, "POST", "/scans?name=a.png", picture_bytes(scan_image()), **headers)
    assert (refused.status, b"key" in refused.body) == (403, False)


def test_its_own_names_are_served(port: int) -> None:
    for name in ("127.0.0.1", "localhost"):
        own = f"{name}:{port}"
        assert get(port, "/", Host=own, Origin=f"http://{own}", **{"Sec-Fetch-Site": "same-origin"}).status == 200


def test_it_listens_on_this_machine_alone(port: int) -> None:
    outside = socket.gethostbyname(socket.gethostname())
    if outside.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((outside, port), timeout=5)


def test_replies_are_stored_by_nobody_and_load_nothing(port: int) -> None:
    page = get(port, "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["set-cookie"] is None
    assert b"http://" not in page.body.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in page.body
    assert get(port, "/docs").status == get(port, "/openapi.json").status == 404


def test_a_file_beyond_the_limit_is_refused_while_it_comes(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/scans?name=big.mp4")
    connection.putheader("Content-Length", str(2**40))
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    assert "big.mp4: larger than the 300 MB" in json.loads(reply.read())["detail"]


def test_nothing_about_the_patient_leaves_by_the_page(port: int) -> None:
    content = saved(with_a_patient([scan_image()] * 2))
    lines = drop(port, "a.dcm", content)
    query = f"key={lines[0]['key']}&threshold=0.5"
    replies = [json.dumps(lines).encode(), json.dumps(drop(port, "b.dcm", content[:-3000])).encode()]
    for path in (f"/scans/{lines[0]['key']}/1?threshold=0.5", f"/scans/{lines[0]['key']}/1.png"):
        replies.append(get(port, path).body)
    for what in ("masks.zip", "coco.json", "findings.csv", "findings.json"):
        replies.append(get(port, f"/{what}?{query}").body)
    assert not any(planted in reply for planted in PLANTED for reply in replies)


@pytest.fixture
def page(browser: Chrome, port: int) -> Chrome:
    browser.get(f"http://127.0.0.1:{port}/")
    return browser


def choose(page: Chrome, *files: Path) -> None:
    page.find_element(By.ID, "files").send_keys("\n".join(map(str, files)))


def text(page: Chrome, element: str) -> str:
    return page.find_element(By.ID, element).text


def wait(page: Chrome, condition: str) -> Any:
    return WebDriverWait(page, 30).until(lambda driver: driver.execute_script(f"return {condition}"))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    contents = {
        "still.png": picture_bytes(scan_image()),
        "object.dcm": dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((10, 5, 79, 54))),
        "loop.mp4": clip_bytes(LOOP),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def test_scans_are_chosen_looked_at_and_paged_by_keyboard(page: Chrome, files: list[Path]) -> None:
    choose(page, *files)
    wait(page, "current?.name === 'loop.mp4' && current.frames.length === 5")
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    assert text(page, "frame-value") == "1 of 5"
    assert wait(page, "document.getElementById('outline').getAttribute('d').startsWith('M')")
    body = page.find_element(By.TAG_NAME, "body")
    before = page.find_element(By.ID, "outline").get_attribute("d")
    body.send_keys(Keys.ARROW_RIGHT * 2)
    wait(page, "document.getElementById('desk').dataset.drawn.split(' ')[1] === '3'")
    assert page.find_element(By.ID, "outline").get_attribute("d") != before
    assert text(page, "frame-value") == "3 of 5"
    body.send_keys(Keys.ARROW_UP)
    wait(page, "document.getElementById('lesions').textContent.includes('mm²')")
    assert text(page, "name") == "object.dcm"
    assert "benign 70%" in text(page, "caption")
    assert not page.find_element(By.ID, "paging").is_displayed()
    assert all(entry["level"] != "SEVERE" for entry in page.get_log("browser"))


def test_the_threshold_is_moved_and_set_back(page: Chrome, files: list[Path]) -> None:
    choose(page, files[0])
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    slider = page.find_element(By.ID, "threshold")
    slider.send_keys(Keys.END)
    wait(page, "document.getElementById('summary').textContent === 'No lesion at this threshold.'")
    assert text(page, "threshold-value") == "0.98"
    assert "threshold=0.98" in str(page.find_element(By.CSS_SELECTOR, "#downloads a").get_attribute("href"))
    page.find_element(By.ID, "fitted").click()
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    assert text(page, "threshold-value") == "0.50"


def test_the_picture_is_copied_with_its_contour(page: Chrome, files: list[Path], port: int) -> None:
    origin = {"origin": f"http://127.0.0.1:{port}", "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.execute_cdp_cmd("Browser.grantPermissions", origin)
    choose(page, files[0])
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    page.find_element(By.ID, "copy").click()
    wait(page, "document.getElementById('status').textContent === 'The picture is on the clipboard.'")
    size, coloured = page.execute_async_script("""
        const done = arguments[0];
        navigator.clipboard.read().then(async ([item]) => {
          const bitmap = await createImageBitmap(await item.getType("image/png"));
          const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
          const pen = canvas.getContext("2d");
          pen.drawImage(bitmap, 0, 0);
          const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
          let coloured = 0;
          for (let place = 0; place < data.length; place += 4) coloured += data[place] !== data[place + 2];
          done([[bitmap.width, bitmap.height], coloured]);
        });""")
    assert size == [90, 60]
    assert coloured > 50


def test_a_file_that_cannot_be_read_is_reported_on_the_page(page: Chrome, tmp_path: Path, files: list[Path]) -> None:
    damaged = tmp_path / "<b>dam&aged.png"
    damaged.write_bytes(b"damaged")
    choose(page, damaged, files[0])
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    assert "<b>dam&aged.png: not a readable image" in text(page, "errors")
    page.find_element(By.CSS_SELECTOR, "#errors button").click()
    assert text(page, "errors") == ""
    page.find_element(By.ID, "remove").click()
    wait(page, "document.getElementById('desk').hidden")


def test_it_fits_a_phone_and_every_control_is_reached_by_tab(page: Chrome, files: list[Path]) -> None:
    page.set_window_size(500, 800)
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        choose(page, files[2])
        wait(page, "document.querySelectorAll('#lesions tr').length === 1")
        assert wait(page, "document.documentElement.scrollWidth <= 360")
        page.execute_script("document.activeElement.blur()")
        focused = set()
        for _ in range(20):
            ActionChains(page).send_keys(Keys.TAB).perform()
            focused.add(page.execute_script("return document.activeElement.id || document.activeElement.tagName"))
        assert {"files", "frame", "earlier", "later", "threshold", "fitted", "contours", "copy", "remove"} <= focused
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.set_window_size(1200, 900)
