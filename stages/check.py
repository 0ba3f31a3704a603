"""Check params.yaml for all stages, so that a wrong value of a late one is found at once, not after hours.

Each stage checks again what it reads. No stage depends on this one, which writes nothing. DVC runs it first, since it
is the first one in dvc.yaml.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import yaml

from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.params import PARAMS, Section, load

PIPELINE = Path("dvc.yaml")


def declared_params() -> list[type[Section]]:
    """Return what the other stages of dvc.yaml declare that they read."""
    stages = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    return [import_module(f"stages.{name}").Params for name in stages if name != "check"]


def faults(readers: Iterable[type[Section]], path: Path) -> Iterator[str]:
    """Yield what is wrong with a params file for its readers; UserError where it is no such file at all."""
    read: set[str] = set()
    for reader in readers:
        read |= reader.model_fields.keys()
        try:
            load(reader, path)
        except UserError as error:
            yield from str(error).splitlines()
    yield from (f"{path}: {name}: no stage reads this section" for name in _sections(path) if name not in read)


def _sections(path: Path) -> list[str]:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(values) if isinstance(values, dict) else []


@command
def main() -> None:
    """Refuse params.yaml with all that is wrong in it."""
    wrong = dict.fromkeys(faults(declared_params(), PARAMS))
    if wrong:
        raise UserError("\n".join(wrong))


if __name__ == "__main__":
    main()
