"""The rule of the layout: stages build on rooms, rooms on lower rooms, and nothing on a stage or a command."""

from pathlib import Path

import pytest
from conftest import ROOT, imported_names

# From the lowest up: a room may import those before it.
ROOMS = (
    "pipeline",
    "cases",
    "scans",
    "sources",
    "repeats",
    "network",
    "training",
    "scoring",
    "runtime",
    "findings",
    "pages",
)

MODULES = sorted(path.relative_to(ROOT) for name in ("stages", "commands") for path in (ROOT / name).rglob("*.py"))


def rooms_imported(module: Path) -> set[str]:
    """The rooms and stages that a module imports, by what follows `stages`, and `commands`."""
    names = [name.split(".") for name in imported_names(ROOT / module)]
    below = {parts[1] for parts in names if parts[0] == "stages" and len(parts) > 1}
    return below | {"commands" for parts in names if parts[0] == "commands"}


def test_every_folder_of_the_stages_is_a_room_and_says_what_lives_there() -> None:
    assert {path.parent.name for path in (ROOT / "stages").glob("*/*.py")} == set(ROOMS)
    for room in ROOMS:
        assert (ROOT / "stages" / room / "__init__.py").read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("module", [path for path in MODULES if len(path.parts) == 3], ids=str)
def test_a_room_imports_lower_rooms_alone(module: Path) -> None:
    room = module.parts[1]
    assert rooms_imported(module) <= {*ROOMS[: ROOMS.index(room)], room}


@pytest.mark.parametrize("module", [path for path in MODULES if len(path.parts) == 2], ids=str)
def test_a_stage_and_a_command_import_rooms_and_no_stage(module: Path) -> None:
    allowed = {*ROOMS, "commands"} if module.parts[0] == "commands" else set(ROOMS)
    assert rooms_imported(module) <= allowed
