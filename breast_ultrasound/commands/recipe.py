"""Run a published result again: `uv run recipe busi`, which is `dvc exp run` with the recipe's params.

A recipe is a file of the folder recipes: what differs from params.yaml, in its layout, below comments that say what it
is, how long it takes and what came of it. Without an argument the command lists the recipes. Further arguments go to
`dvc exp run`: `uv run recipe busi -S ++data.archives.busi=busi.zip --name trial`. Not part of the pipeline.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.params import PARAMS

RECIPES = Path("recipes")

# What Hydra, which reads the values for DVC, takes for text without quotes.
_WORD = re.compile(r"[A-Za-z][\w./-]*")


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return each value that is no mapping, with its keys joined by dots.

    >>> list(flatten({"seed": 1, "train": {"epochs": 20}}))
    [('seed', 1), ('train.epochs', 20)]
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def setting(key: str, value: Any) -> str:
    """Return `key=value` as `dvc exp run -S` reads it.

    >>> setting("split.run", [0, 1]), setting("data.sources", ["busi"]), setting("audit.sweep", None)
    ('split.run=[0, 1]', 'data.sources=["busi"]', 'audit.sweep=null')
    """
    is_word = isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in ("true", "false", "null")
    return f"{key}={value if is_word else json.dumps(value, ensure_ascii=False)}"


def read_recipe(path: Path, params: Mapping[str, Any]) -> list[str]:
    """Return the settings of a recipe; UserError where the file is none, or sets a key that params.yaml lacks."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no params. Write what differs from {PARAMS}, in its layout.")
    recipe, allowed = dict(flatten(values)), dict(flatten(params))
    unknown = sorted(recipe.keys() - allowed.keys())
    if unknown:
        raise UserError(f"{path}: {PARAMS} has no key {', '.join(unknown)}. Correct the name, or remove it.")
    return [setting(key, value) for key, value in recipe.items()]


def list_recipes(folder: Path = RECIPES) -> dict[str, Path]:
    """Return the recipe files by name; UserError where the folder is missing."""
    if not folder.is_dir():
        raise UserError(f"{folder.resolve()}: not found. Run this in the root of the repository.")
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}


def summary(path: Path) -> str:
    """Return the first comment line of a recipe."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", help="name of a file in recipes, without .yaml; none lists them")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="what else goes to `dvc exp run`, such as -S KEY=VALUE"
    )
    return parser.parse_args()


@command
def main() -> None:
    """Run the recipe named on the command line, or list all recipes."""
    arguments, recipes = parse(), list_recipes()
    name = arguments.recipe
    if name is None:
        width = max(map(len, recipes)) + 2
        print("\n".join(f"{name:{width}}{summary(path)}" for name, path in recipes.items()))
        return
    if name not in recipes:
        raise UserError(f"{name}: no such recipe. There are: {', '.join(recipes)}.")
    settings = read_recipe(recipes[name], yaml.safe_load(PARAMS.read_text(encoding="utf-8")))
    words = ["exp", "run", *(text for change in settings for text in ("-S", change)), *arguments.arguments]
    print(f"$ dvc {shlex.join(words)}", flush=True)
    sys.exit(subprocess.run([sys.executable, "-m", "dvc", *words], check=False).returncode)


if __name__ == "__main__":
    main()
