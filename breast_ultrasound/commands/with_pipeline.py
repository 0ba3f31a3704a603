"""Entry points of the commands that need the packages of the pipeline, which `pip install .` leaves out."""

import importlib
import importlib.util
import sys


def _run(command: str, module: str) -> None:
    if importlib.util.find_spec("dvc") is None:
        sys.exit(
            f"error: {command}: the packages of the pipeline are missing. Run `uv run {command}` in a clone of the "
            "repository; it installs them."
        )
    importlib.import_module(f"breast_ultrasound.commands.{module}").main()


def cases() -> None:
    """Run the command `cases`."""
    _run("cases", "cases")


def compare() -> None:
    """Run the command `compare`."""
    _run("compare", "compare.command")


def folds() -> None:
    """Run the command `folds`."""
    _run("folds", "folds.command")


def phantom() -> None:
    """Run the command `phantom`."""
    _run("phantom", "phantom")


def recipe() -> None:
    """Run the command `recipe`."""
    _run("recipe", "recipe")


def reproduced() -> None:
    """Run the command `reproduced`."""
    _run("reproduced", "reproduced")


def score() -> None:
    """Run the command `score`."""
    _run("score", "score")


def board() -> None:
    """Run the command `board`."""
    _run("board", "board")
