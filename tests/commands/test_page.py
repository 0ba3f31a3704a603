"""The page as it runs: asked over HTTP, and looked at in Chromium."""

import contextlib
import csv
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import ROOT, barriers, run
from onnx_network import write_dark_network
from page_client import Reply, drop, get, serve_desk
from page_in_browser import choose, text, wait, wait_for_list
from PIL import Image
from scan_files import PLANTED, clip_bytes, dicom_bytes, picture_bytes, regions, saved, scan_image, with_a_patient
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from breast_ultrasound import PRETRAINED, open_network, segment
from breast_ultrasound.commands.page.desk import Desk, OutdatedError
from breast_ultrasound.commands.page.guard import ADDRESS
from breast_ultrasound.commands.page.holding import HeldFrame, Limits, Upload
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.scan import Frame

LOOP = [np.roll(scan_image(64, 96), 5 * step, axis=1) for step in range(5)]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The port and the process of a page that runs, with a network that takes dark pixels for lesion."""
    model = tmp_path_factory.mktemp("model") / "dark.onnx"
    write_dark_network(model)
    command = (sys.executable, "-m", "breast_ultrasound.commands.page.command", "--port", "0", "--model", str(model))
    page = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert page.stdout
    assert page.stdout.readline() == f"{model}: the network given by --model.\n"
    first = page.stdout.readline()
    assert first.startswith("page: http://127.0.0.1:"), first + page.stdout.read()
    yield int(first.split()[1].rpartition(":")[2]), page.pid
    page.send_signal(signal.SIGINT)
    rest = page.communicate(timeout=60)[0]
    assert (rest, page.returncode) == ("", 0)


@pytest.fixture(scope="module")
def port(process: tuple[int, int]) -> int:
    return process[0]


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
        loop = [f"乳 房_frames/{number:05}.png" for number in range(1, 6)]
        assert names == ["a_mask.png", "a (2)_mask.png", *loop]
        mask = decoded(archive.read("a_mask.png"))
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask > 0) ^ (scan_image() < 100)).mean() < 0.03
    coco = json.loads(get(port, f"/coco.json?{query}").body)
    assert [image["file_name"] for image in coco["images"]] == ["a.png", "a (2).dcm", *loop]
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
        ("large.png", picture_bytes(np.zeros((3000, 3000), np.uint8)), "3000×3000 pixels are more than"),
        ("empty.png", b"", "empty.png: not a readable image"),
    ):
        [line] = drop(port, name, content)
        assert message in line["error"]
        assert line["error"].isprintable()
        assert "--" not in line["error"]
    assert len(drop(port, "good.png", picture_bytes(scan_image()))) == 2


def test_another_modality_is_taken_where_the_box_is_ticked(port: int) -> None:
    content = dicom_bytes([scan_image()], Modality="CT")
    [refusal] = drop(port, "ct.dcm", content)
    assert refusal["error"].endswith("not ultrasound (US). Tick “other modalities”, drop it again to go on.")
    ticked = Reply(port, "POST", "/scans?name=ct.dcm&any_modality=true", content)
    assert len(ticked.body.splitlines()) == 2


def test_each_frame_comes_with_its_findings_as_fitted(port: int) -> None:
    _, frame = drop(port, "a.png", picture_bytes(scan_image()))
    assert frame["lesions"] == 1
    assert 0 < frame["predicted_dice"] <= 1


@pytest.mark.parametrize(("distance", "is_unlike"), [(1.5, True), (0.5, False), (None, False)])
def test_a_frame_that_lies_far_from_the_images_of_the_network_is_marked(
    distance: float | None, is_unlike: bool, tmp_path: Path
) -> None:
    write_dark_network(tmp_path / "dark.onnx", distance)
    with serve_desk(Desk(open_network(tmp_path / "dark.onnx"), Limits())) as port:
        _, frame = drop(port, "a.png", picture_bytes(scan_image()))
    assert (frame["feature_distance"], frame["is_unlike"]) == (distance, is_unlike)


def test_a_mask_is_no_scan(port: int) -> None:
    mask = np.where(scan_image() < 100, 255, 0).astype(np.uint8)
    for name, image in (("benign (1)_mask_1.png", scan_image()), ("any.png", mask), ("any.bmp", mask // 255)):
        assert drop(port, name, picture_bytes(image, Path(name).suffix)) == [{"mask": name}]


def test_what_is_left_out_of_a_scan_is_said(port: int) -> None:
    two = regions((0, 0, 39, 59), (45, 0, 89, 59))
    _, _, note = drop(port, "two.dcm", dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=two))
    assert note["note"].startswith("two.dcm: shows tissue in 2 regions side by side")


def test_the_sample_is_small_and_has_one_lesion_that_the_shipped_network_finds(port: int) -> None:
    sample = get(port, "/synthetic-phantom.jpg").body
    assert len(sample) < 60_000
    pixels = decoded(sample)
    segmented = segment(Frame.without_region(pixels, 1), open_network(PRETRAINED))
    [lesion] = segmented.lesions
    assert (lesion.centre_x, lesion.centre_y) == pytest.approx((188, 130), abs=6)


def test_the_page_says_how_its_network_was_tested() -> None:
    network = open_network(PRETRAINED)
    with serve_desk(Desk(network, Limits())) as port:
        heading = get(port, "/").body.decode()
    images, dice = (network.card.tested["all"][name] for name in ("images", "lesion_dice"))
    assert re.search(
        rf"Tested on {images:,} images, each by .*: lesion Dice {dice:.2f} \(bus-bra 0\.89, .*\), missed", heading
    )


def test_no_more_lesions_are_listed_than_can_be_looked_at(port: int) -> None:
    image = np.full((640, 640), 180, np.uint8)
    image.reshape(16, 40, 16, 40)[:, 10:30, :, 10:30] = 20
    scan, frame = drop(port, "many.png", picture_bytes(image))
    answer = json.loads(get(port, f"/scans/{scan['key']}/1?threshold=0.5").body)
    assert answer["count"] == frame["lesions"] > len(answer["lesions"]) == 100


def desk_with(tmp_path: Path, **limits: Any) -> Desk:
    write_dark_network(tmp_path / "dark.onnx")
    return Desk(open_network(tmp_path / "dark.onnx"), Limits(**limits))


def upload(desk: Desk, name: str, content: bytes) -> Upload:
    begun = desk.begin(name)
    desk.receive(begun, content)
    return begun


def test_a_removed_scan_is_not_segmented_further(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    lines = desk.add(upload(desk, "loop.mp4", clip_bytes(LOOP)), False)
    key = next(lines)["key"]
    assert next(lines)["number"] == 1
    desk.remove(key)
    assert list(lines) == []


def test_a_scan_is_forgotten_whose_browser_is_gone_before_it_is_read(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    lines = desk.add(upload(desk, "loop.mp4", clip_bytes(LOOP)), False)
    key, _ = next(lines)["key"], next(lines)
    del lines
    with pytest.raises(KeyError):
        desk.frame(key, 1)


def test_files_on_their_way_count_as_held_until_they_are_segmented(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, held=1000)
    first = upload(desk, "a.png", bytes(600))
    with pytest.raises(UserError, match=r"b.png: the page holds as much as it may"):
        upload(desk, "b.png", bytes(600))
    del first
    upload(desk, "b.png", bytes(600))


def test_of_questions_about_a_frame_only_the_newest_that_is_awaited_is_answered(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    key = next(lines := desk.add(upload(desk, "a.png", picture_bytes(scan_image())), False))["key"]
    list(lines)
    computed: list[float] = []
    begun, go_on = threading.Event(), threading.Event()

    def ask(threshold: float, awaited: bool = True) -> None:
        def is_awaited() -> bool:
            begun.set()
            return go_on.wait(10) and awaited

        with contextlib.suppress(OutdatedError):
            desk.answer(key, 1, threshold, is_awaited)
            computed.append(threshold)

    threads = [threading.Thread(target=ask, args=arguments) for arguments in ((0.1,), (0.2,), (0.3,))]
    threads[0].start()
    assert begun.wait(10)
    # The first has its turn, and the others wait for theirs.
    for thread in threads[1:]:
        thread.start()
        time.sleep(0.2)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert 0.2 not in computed
    assert computed[-1] == 0.3
    ask(0.4, awaited=False)
    assert 0.4 not in computed


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[tuple[Desk, int]]:
    """A desk with its page in this process, which waits half a second for what is on its way, and the page's port."""
    desk = desk_with(tmp_path, idle=0.5)
    with serve_desk(desk) as port:
        yield desk, port


def test_a_half_sent_file_is_given_up(impatient: tuple[Desk, int]) -> None:
    connection = http.client.HTTPConnection(ADDRESS, impatient[1], timeout=10)
    connection.putrequest("POST", "/scans?name=half.png")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"half")
    reply = connection.getresponse()
    assert (reply.status, json.loads(reply.read())["detail"]) == (
        408,
        "half.png: nothing has come for 0.5 s. Drop it again.",
    )


def test_a_download_ends_when_the_browser_is_gone(impatient: tuple[Desk, int], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, number = impatient
    scan, *_ = drop(number, "loop.mp4", clip_bytes(LOOP * 20))
    computed: list[int] = []

    def slowly(held: HeldFrame, threshold: float) -> Segmented:
        computed.append(held.frame.number)
        time.sleep(0.05)
        return Desk.segmented(desk, held, threshold)

    monkeypatch.setattr(desk, "segmented", slowly)
    connection = http.client.HTTPConnection(ADDRESS, number, timeout=10)
    connection.request("GET", f"/masks.zip?key={scan['key']}&threshold=0.5")
    while not computed:
        time.sleep(0.02)
    connection.close()
    time.sleep(0.5)
    count = len(computed)
    time.sleep(0.5)
    assert len(computed) == count < 100


def test_a_removed_scan_is_gone(port: int) -> None:
    key = drop(port, "a.png", picture_bytes(scan_image()))[0]["key"]
    assert Reply(port, "DELETE", f"/scans/{key}").status == 204
    for path in (f"/scans/{key}/1.png", f"/scans/{key}/1?threshold=0.5", f"/coco.json?key={key}&threshold=0.5"):
        assert get(port, path).status == 404
    assert get(port, "/scans/guess/1.png").status == 404


def test_the_memory_of_removed_scans_is_given_back(process: tuple[int, int]) -> None:
    port, pid = process
    status = Path(f"/proc/{pid}/statm")
    if not status.exists():
        pytest.skip("this system does not show the memory of processes")

    def held() -> float:
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def drop_and_remove(count: int) -> None:
        with ThreadPoolExecutor(8) as threads:
            for scan, *_ in list(threads.map(lambda _: drop(port, "a.png", content), range(count))):
                Reply(port, "DELETE", f"/scans/{scan['key']}")

    content = picture_bytes(np.random.default_rng(1).integers(0, 255, (1500, 1500)).astype(np.uint8))
    drop_and_remove(1)
    before = held()
    drop_and_remove(60)
    assert held() < before + 60


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
    # Clears it of what other tests logged.
    browser.get_log("browser")
    return browser


LISTED = ("1 lesion", "1 lesion", "5 of 5 frames")


def show(page: Chrome, name: str) -> None:
    page.find_element(By.XPATH, f"//ul[@id='scans']//button[contains(., '{name}')]").click()
    wait(page, f"document.getElementById('name').textContent === '{name}'")


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
    wait_for_list(page, *LISTED)
    assert text(page, "name") == "still.png"
    show(page, "loop.mp4")
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
    wait(
        page, "document.getElementById('summary').textContent.startsWith('No lesion at this threshold, predicted Dice')"
    )
    assert text(page, "threshold-value") == "0.98"
    assert "threshold=0.98" in str(page.find_element(By.CSS_SELECTOR, "#downloads a").get_attribute("href"))
    page.find_element(By.ID, "fitted").click()
    wait(page, "document.querySelectorAll('#lesions tr').length === 1")
    assert text(page, "threshold-value") == "0.50"


def test_the_list_says_what_was_found_in_each_scan(page: Chrome, files: list[Path]) -> None:
    choose(page, files[0], files[2])
    wait_for_list(page, *LISTED[1:])
    still, clip = (item.text.split("\n") for item in page.find_elements(By.CSS_SELECTOR, "#scans button"))
    assert still[0] == "still.png"
    assert re.fullmatch(r"benign 70% · 1 lesion · predicted Dice 0\.\d\d", still[1])
    assert re.fullmatch(r"benign 70% · lesion on 5 of 5 frames · predicted Dice 0\.\d\d", clip[1])


def test_a_slider_that_is_dragged_asks_once(page: Chrome, files: list[Path], port: int) -> None:
    choose(page, files[0])
    wait(page, "document.getElementById('desk').dataset.drawn?.endsWith(' 0.5')")
    page.execute_script("""
        performance.clearResourceTimings();
        const slider = document.getElementById("threshold");
        for (let step = 51; step < 80; step++) {
          slider.value = step / 100;
          slider.dispatchEvent(new Event("input"));
        }""")
    wait(page, "document.getElementById('desk').dataset.drawn.endsWith(' 0.79')")
    asked = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('?threshold=')).length"
    assert page.execute_script(f"return {asked}") == 1


def test_a_synthetic_scan_is_a_click_away(page: Chrome) -> None:
    page.find_element(By.ID, "sample").click()
    wait(page, "document.getElementById('name').textContent === 'synthetic-phantom.jpg'")
    assert "Drawn by this project's phantom; no patient." in text(page, "inbox")


def test_without_a_folder_nothing_can_be_kept(page: Chrome, port: int) -> None:
    key = drop(port, "a.png", picture_bytes(scan_image()))[0]["key"]
    assert Reply(port, "PUT", f"/scans/{key}/1/case", b'{"class": "benign", "edges": [0, 9]}').status in (404, 405)
    assert page.find_elements(By.CSS_SELECTOR, "#tools, #accept") == []


def test_masks_among_scans_and_notes_are_named_on_the_page(page: Chrome, tmp_path: Path, files: list[Path]) -> None:
    mask, two = tmp_path / "still_mask.png", tmp_path / "two.dcm"
    mask.write_bytes(picture_bytes(scan_image()))
    two.write_bytes(dicom_bytes([scan_image()], SequenceOfUltrasoundRegions=regions((0, 0, 39, 59), (45, 0, 89, 59))))
    choose(page, files[0], mask, two)
    wait_for_list(page, "1 lesion", "predicted Dice")
    show(page, "two.dcm")
    wait(page, "document.getElementById('notes').textContent.includes('2 regions side by side')")
    assert text(page, "masks") == "Left out, since they are masks and no scans: still_mask.png."
    assert len(page.find_elements(By.CSS_SELECTOR, "#scans button")) == 2


def test_the_box_for_other_modalities_takes_them(page: Chrome, tmp_path: Path) -> None:
    ct = tmp_path / "ct.dcm"
    ct.write_bytes(dicom_bytes([scan_image()], Modality="CT"))
    choose(page, ct)
    wait(page, "document.getElementById('errors').textContent.includes('Tick “other modalities”')")
    page.find_element(By.ID, "any-modality").click()
    choose(page, ct)
    wait(page, "document.getElementById('name').textContent === 'ct.dcm'")


def test_scans_are_forgotten_when_the_page_is_left(page: Chrome, files: list[Path], port: int) -> None:
    choose(page, files[0])
    key = wait(page, "document.getElementById('desk').dataset.drawn").split()[0]
    page.get("about:blank")
    deadline = time.monotonic() + 10
    while get(port, f"/scans/{key}/1.png").status != 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_names_with_html_are_text(page: Chrome, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>&amp;.png"
    (tmp_path / name).write_bytes(picture_bytes(scan_image()))
    (tmp_path / f"{name}_mask.png").write_bytes(picture_bytes(scan_image()))
    (tmp_path / f"{name}.dcm").write_bytes(b"damaged")
    choose(page, *(tmp_path / f"{name}{ending}" for ending in ("", "_mask.png", ".dcm")))
    wait(page, "document.getElementById('errors').textContent && document.getElementById('name').textContent")
    for element in ("name", "scans", "masks", "errors"):
        assert "<img src=x onerror=alert(1)>&amp;.png" in text(page, element)
    assert page.find_elements(By.CSS_SELECTOR, "img:not(#picture)") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_tool_finds_no_barrier(page: Chrome, files: list[Path], tmp_path: Path, scheme: str) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"damaged")
    choose(page, *files, damaged)
    wait(page, "document.getElementById('errors').textContent")
    show(page, "loop.mp4")
    assert barriers(page, scheme) == []


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
