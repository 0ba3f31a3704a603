"""The page in Chromium: what the tests of the page do there and wait for."""

import json
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def choose(page: Chrome, *files: Path) -> None:
    page.find_element(By.ID, "files").send_keys("\n".join(map(str, files)))


def text(page: Chrome, element: str) -> str:
    return page.find_element(By.ID, element).text


def wait(page: Chrome, condition: str) -> Any:
    return WebDriverWait(page, 30).until(lambda driver: driver.execute_script(f"return {condition}"))


def wait_for_list(page: Chrome, *endings: str) -> None:
    """Wait until the list of scans ends with lines that end so."""
    lines = "[...document.querySelectorAll('#scans span')].map((line) => line.textContent)"
    wait(
        page,
        f"((lines) => lines.length && {json.dumps(endings)}.every((each, at) => lines[at]?.includes(each)))({lines})",
    )
