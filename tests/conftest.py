"""What several tests build on: a small release on disk, and a clone of this repository with a tiny run in it."""

import ast
import functools
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from filelock import FileLock
from hypothesis import settings
from numpy.typing import NDArray
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from breast_ultrasound.cases.raw import write_table
from breast_ultrasound.sources.phantom import write_phantom

# A busy machine is no fault of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

ROOT = Path(__file__).parent.parent
DVC = (sys.executable, "-m", "dvc")

Write = Callable[[str, NDArray[Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an image to a path below tmp_path, making its folders."""

    def write_image(name: str, pixels: NDArray[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write_image


@pytest.fixture
def release(write: Write, tmp_path: Path) -> Path:
    """A release of six images, two of each class, one of them with two masks."""
    rng = np.random.default_rng(0)
    for cls in ("benign", "malignant", "normal"):
        for number in (1, 2):
            write(f"release/{cls}/{cls} ({number}).png", rng.integers(1, 255, (40, 60), dtype=np.uint8))
            write(f"release/{cls}/{cls} ({number})_mask.png", rectangle(40, 60, slice(5, 15), empty=cls == "normal"))
    write("release/benign/benign (2)_mask_1.png", rectangle(40, 60, slice(20, 30)))
    return tmp_path / "release"


def rectangle(height: int, width: int, rows: slice, empty: bool = False) -> NDArray[np.uint8]:
    """A mask 0/255 with a rectangle ten columns wide."""
    mask = np.zeros((height, width), np.uint8)
    mask[rows, 10:20] = 0 if empty else 255
    return mask


PARAMS = ROOT / "tests" / "params.yaml"


def write_params(folder: Path, **changed: Any) -> None:
    """Write the tests' own params as params.yaml of a folder, with other values of some keys: `train={"epochs": 1}`."""
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    for section, value in changed.items():
        values[section] = values[section] | value if isinstance(value, dict) else value
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long test that makes the tiny run, so that one process makes it while the other has work to do.

    What is marked `long` comes before the rest, so that no process waits for it at the very end, and what needs the
    tiny run after what does not.
    """

    def turn(item: pytest.Item) -> tuple[bool, bool]:
        long, needs_run = item.get_closest_marker("long") is not None, "clone" in getattr(item, "fixturenames", ())
        return not long, needs_run != long

    items.sort(key=turn)


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MadeOnce:
    """Make a folder that all the processes of a test run share, by its name: the first that asks makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / f"{name}.made").exists():
                make(shared / name)
                (shared / f"{name}.made").touch()
        return shared / name

    return folder_of


@pytest.fixture(scope="session")
def raw_phantom(made_once: MadeOnce) -> Path:
    """The data/raw of a phantom of 20 images; to be read, not changed."""

    def draw(folder: Path) -> None:
        folder.mkdir()
        write_table(folder, write_phantom(folder, 20, seed=3))

    return made_once("raw-phantom", draw)


@pytest.fixture(scope="session")
def clone(made_once: MadeOnce) -> Path:
    """A clone of the working tree, uncommitted changes included, with a tiny phantom run, committed.

    To be read, not changed, and not by DVC, which locks it: that is what `working_copy` is for.
    """
    return made_once("clone", make_clone)


def make_clone(folder: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in run(ROOT, *listed).split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    write_params(folder)
    run(folder, "git", "init", "--quiet")
    commit(folder, "Code and params")
    dvc(folder, "repro")
    commit(folder, "Tiny run")


@pytest.fixture
def working_copy(clone: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, DVC's cache included, to work in."""
    return shutil.copytree(clone, tmp_path / "copy")


@functools.cache
def packages_by_module() -> Mapping[str, list[str]]:
    """The installed packages by the modules that they hold, for which the list of files of each one is read."""
    return importlib.metadata.packages_distributions()


@functools.cache
def imported_names(file: Path) -> frozenset[str]:
    """The dotted names that a Python file imports: of `from a import b`, both `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def commit(folder: Path, message: str) -> None:
    """Commit all that Git doesn't ignore."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", message)


@pytest.fixture
def git_clone(clone: Path, tmp_path: Path) -> Path:
    """A clone of the tiny run by Git alone: no data, no cache."""
    run(tmp_path, "git", "clone", "--quiet", str(clone), "git-clone")
    return tmp_path / "git-clone"


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """A headless Chromium that reaches no network."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("Chromium is missing: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = Chrome(options=options, service=ChromeService(driver))
    started.set_window_size(1200, 900)
    yield started
    started.quit()


def barriers(page: Chrome, scheme: str) -> list[tuple[str, list[str]]]:
    """What makes a page hard to use for some people, as axe names it, in a light or dark scheme of colours."""
    axe = importlib.util.find_spec("axe_core_python")
    if not axe or not axe.origin:
        pytest.skip("axe-core-python is missing: it comes with the group dev")
    colours = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", colours)
    page.execute_script((Path(axe.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    violations = page.execute_async_script("axe.run().then((result) => arguments[0](result.violations))")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]


# Git asks who commits, which a fresh machine doesn't know.
SOMEBODY = {f"GIT_{role}_{field}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}


def run(folder: Path, *command: str, **environment: str) -> str:
    """What a command prints that has to succeed, run in a folder."""
    done = attempt(folder, *command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attempt(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command does, run in a folder."""
    variables = os.environ | SOMEBODY | environment
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def dvc(folder: Path, *arguments: str, **environment: str) -> str:
    """What a DVC command prints that has to succeed, run in a folder."""
    return run(folder, *DVC, *arguments, **environment)
