"""The README and the docs against the project: links, command lines, names of files, params, outputs and rooms."""

import functools
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from test_rooms import ROOMS

from breast_ultrasound.commands.recipe import flatten

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "breast_ultrasound/pretrained/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", read(page), flags=re.DOTALL | re.MULTILINE)


def code(page: Path) -> Iterator[str]:
    """The lines of the code blocks of a page, and its code in running text."""
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", read(page), flags=re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose(page)))


# Links


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@each_page
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not target.startswith("https://")]
    for target in targets:
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", read(index))}
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= linked


# Command lines


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words of each command of uv or DVC on a page, from the program on."""
    for text in code(page):
        for part in text.split("&&"):
            match = re.search(r"\buv run (.*)|^ *(dvc .*)", part)
            if match:
                line = match[1] or match[2]
                # The end of a line in quotes that is given to ssh.
                words = shlex.split(line.rstrip('"') if line.count('"') % 2 else line, comments=True)
                while words[0] == "--extra":
                    assert words[1] in PROJECT["optional-dependencies"], text
                    words = words[2:]
                yield words


@functools.cache
def help_text(*command: str) -> str:
    """What a program prints about its options."""
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def check_options(words: list[str], text: str) -> None:
    """Every option is one that the text names: a program's help, or its code."""
    options = [word for word in words if re.match("--?[a-z]", word)]
    for option in (word.partition("=")[0] if word.startswith("--") else word[:2] for word in options):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), words


def check_dvc(words: list[str]) -> None:
    parsed = get_main_parser().parse_args(words)
    for target in getattr(parsed, "targets", None) or []:
        assert target.partition("@")[0] in STAGES, words


def check_python(words: list[str]) -> None:
    """A script or module of the project: its code holds its options. Its help would load Keras first."""
    if words[0] == "-c":
        compile(words[1], "docs", "exec")
    elif words[0] != "-":
        file = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
        check_options(words[2:] if words[0] == "-m" else words[1:], read(ROOT / file))


def check_recipe(words: list[str]) -> None:
    for name in words[:1]:
        assert name == "<name>" or (ROOT / f"recipes/{name}.yaml").exists(), words
    check_dvc(["exp", "run", *words[1:]])


def check_tool(program: str, words: list[str]) -> None:
    """A tool of the environment, whose first word may be a command of its own."""
    subcommand = words[:1] if program in ("dask", "ruff") else []
    check_options(words, help_text(str(Path(sys.executable).parent / program), *subcommand))
    assert {word for word in words if word.endswith(".py") and not (ROOT / word).exists()} == set()


def check(words: list[str]) -> None:
    """The command is one of the project or of its tools, and so are its options and the files that it runs."""
    program, arguments = words[0], words[1:]
    if program == "dvc":
        check_dvc(arguments)
    elif program == "recipe":
        check_recipe(arguments)
    elif program in ("python", "--script"):
        check_python(arguments)
    elif program in PROJECT["scripts"]:
        check_options(arguments, help_text(str(Path(sys.executable).parent / program)))
    else:
        assert program in ("dask", "pyright", "pytest", "ruff"), words
        check_tool(program, arguments)


@each_page
def test_every_command_line_names_commands_options_and_files_that_exist(page: Path) -> None:
    for words in command_lines(page):
        check(words)


@pytest.mark.parametrize(
    "line",
    [
        "dvc exp run --nothing",
        "dvc repro trian",
        "nothing",
        "phantom folder --sed 1",
        "pytest tests/test_nothing.py",
        "python benchmarks/nothing.py",
        "python -m stages.train --folds 0",
        "recipe nothing",
    ],
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, DvcParserError, FileNotFoundError)):
        check(line.split())


@each_page
def test_every_param_that_a_command_sets_exists(page: Path) -> None:
    keys_of_params = {*dict(flatten(PARAMS)), "section.key"}
    changed = [key for text in code(page) for key in re.findall(r"-S \"?([a-z][\w.]*)=", text)]
    assert {key for key in changed if key not in keys_of_params} == set()


@each_page
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    path = r"(?:breast_ultrasound|stages|tests|benchmarks|recipes|docs|\.ci)/[\w./-]+"
    named = {name for text in code(page) for name in re.findall(rf"(?<![\w/]){path}", text)}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@each_page
def test_every_commit_that_is_named_is_in_the_history(page: Path) -> None:
    if (ROOT / ".git/shallow").exists() or not (ROOT / ".git").exists():
        pytest.skip("the history is not here")
    named = set(re.findall(r"(?<![\w./-])(?=[a-f]*\d)[0-9a-f]{7}(?![\w./-])", " ".join(code(page))))
    for commit in named:
        assert subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, check=False).returncode == 0, commit


# Length


def test_the_readme_is_one_page() -> None:
    text = read(ROOT / "README.md")
    assert len(text.splitlines()) <= 200
    assert len(text.split()) <= 1300


@pytest.mark.parametrize(("folder", "limit"), [("how-to", 750), ("explanation", 900)])
def test_pages_do_one_job(folder: str, limit: int) -> None:
    words = {page.name: len(read(page).split()) for page in (ROOT / "docs" / folder).glob("*.md")}
    assert {page: count for page, count in words.items() if count > limit} == {}, words


# Reference


def section(page: str, title: str) -> str:
    """The part of a page below the heading, of second level, that names a file, or below another mention of it."""
    parts = [part for part in re.split(r"^## ", read(ROOT / page), flags=re.MULTILINE) if title in part]
    return "\n".join(parts)


def keys(value: Any) -> set[str]:
    """All keys of a JSON value, but for those of images, folds and numbers."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return {key for key in value if not re.fullmatch(r"fold-\d+", key)}.union(*map(keys, value.values()))


TABLES = (
    "data/raw/cases.csv",
    "data/raw/planted.csv",
    "data/prepared/index.csv",
    "data/groups.csv",
    "data/folds.csv",
    "data/predictions/fold-0/index.csv",
    "metrics/scores.csv",
    "metrics/domain_shift.csv",
    "metrics/plots/precision_recall.csv",
    "metrics/plots/reliability.csv",
    "metrics/plots/dice_by_size.csv",
    "metrics/plots/dice_distribution.csv",
    "metrics/plots/error_kinds.csv",
)


def test_every_column_and_key_of_a_run_is_explained(clone: Path) -> None:
    missing = {}
    for name in TABLES:
        title = name.replace("fold-0/index.csv", "fold-k").removeprefix("metrics/plots/")
        missing[name] = [
            c for c in pd.read_csv(clone / name) if f"`{c}`" not in section("docs/reference/outputs.md", title)
        ]
    for name in ("audit", "postprocess", "summary", "external", "export/onnx"):
        title = f"metrics/{name}.json"
        explained = section("docs/reference/outputs.md", title) + read(ROOT / "docs/reference/outputs.md") * (
            name == "audit"
        )
        missing[title] = [key for key in keys(json.loads(read(clone / title))) if f"`{key}`" not in explained]
    figures = read(ROOT / "docs/reference/figures.md") + section("docs/reference/outputs.md", "metrics/summary.json")
    keys_of_figures = keys(json.loads(read(clone / "metrics/figures.json")))
    missing["figures"] = [key for key in keys_of_figures if key not in figures]
    assert {name: names for name, names in missing.items() if names} == {}


def test_the_table_of_params_is_that_of_dvc_yaml() -> None:
    text = read(ROOT / "docs/reference/params.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE))
    assert rows.keys() == PARAMS.keys()
    for name, value in PARAMS.items():
        explained, _, readers = rows[name].partition(" | ")
        if isinstance(value, dict) and name != "external":
            assert re.findall(r"`(\w+)`", explained) == list(value)
        reading = {stage for stage, entry in STAGES.items() if reads(entry.get("params", []), name)}
        assert set(re.findall(r"\w+", re.sub(r"\(.*?\)", "", readers))) == reading


def reads(declared: list[Any], name: str) -> bool:
    return any(isinstance(key, str) and key.partition(".")[0] == name for key in declared)


def test_the_rooms_are_listed_from_the_lowest_up() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(breast_ultrasound/\w+\)", read(ROOT / "CONTRIBUTING.md"), flags=re.MULTILINE)
    assert tuple(listed) == ROOMS


def test_the_readme_lists_the_stages_in_order() -> None:
    assert re.findall(r"^\| \[(\w+)\]\(stages/", read(ROOT / "README.md"), flags=re.MULTILINE) == list(STAGES)


# Citation


def test_the_citation_file_has_what_its_format_asks_for() -> None:
    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert all(
            {"name"} == author.keys() or {"family-names", "given-names"} == author.keys() for author in work["authors"]
        )
        assert work is citation or work["type"] == "article"
