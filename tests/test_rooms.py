"""The rule of the layout: stages and commands build on rooms, rooms on lower ones, nothing on a stage."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT, imported_names

PACKAGE = "breast_ultrasound"

# From the lowest up: a room may import those before it.
ROOMS = (
    "pipeline",
    "cases",
    "scans",
    "sources",
    "auditing",
    "network",
    "training",
    "scoring",
    "answers",
    "submissions",
    "findings",
    "inference",
    "exporting",
    "pages",
    "commands",
)

MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / PACKAGE).rglob("*.py"))
STAGES = sorted(path.relative_to(ROOT) for path in (ROOT / "stages").glob("*.py"))


def rooms_imported(module: Path) -> set[str]:
    """The rooms that a module imports, and `stages` where it imports one of these."""
    names = [name.split(".") for name in imported_names(ROOT / module)]
    rooms = {parts[1] for parts in names if parts[0] == PACKAGE and len(parts) > 1}
    return rooms | {"stages" for parts in names if parts[0] == "stages"}


def test_every_folder_of_the_package_is_a_room_and_says_what_lives_there() -> None:
    folders = {path.parent for path in (ROOT / PACKAGE).glob("*/*.py")}
    assert {folder.name for folder in folders} == set(ROOMS)
    for folder in folders:
        assert (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("module", [path for path in MODULES if len(path.parts) > 2], ids=str)
def test_a_room_imports_lower_rooms_alone(module: Path) -> None:
    room = module.parts[1]
    assert rooms_imported(module) <= {*ROOMS[: ROOMS.index(room)], room}


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_stage_imports_rooms_but_no_stage_and_no_command(stage: Path) -> None:
    assert rooms_imported(stage) <= {*ROOMS} - {"commands"}


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_stage_leaves_the_import_of_keras_to_the_rooms(stage: Path) -> None:
    """Imports are sorted, so that Keras would be loaded before the package has set what TensorFlow reads."""
    statements = ast.parse((ROOT / stage).read_text(encoding="utf-8")).body
    names = {alias.name for statement in statements if isinstance(statement, ast.Import) for alias in statement.names}
    assert names.isdisjoint({"keras", "tensorflow"})
