"""Draw phantom images as another scanner would show them: `uv run phantom FOLDER --seed 7 --sector 70`.

Writes a folder that `external` in params.yaml and `data.source: custom` take; params.yaml explains the settings of the
scanner. Not part of the pipeline.
"""

import argparse
from pathlib import Path

from breast_ultrasound.cases.raw import write_table
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.sources.phantom import LINEAR, Scanner, write_phantom


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to make")
    parser.add_argument("--images", type=int, default=60, help="how many images, 20 at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other images (%(default)s)")
    for name, value in LINEAR.model_dump().items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"phantom.{name} of params.yaml (%(default)g)")
    return parser.parse_args()


@command
def main() -> None:
    """Draw the folder that the command line names."""
    arguments = parse()
    if arguments.folder.exists():
        raise UserError(f"{arguments.folder}: is there already. Name another folder.")
    try:
        scanner = Scanner.model_validate({name: getattr(arguments, name) for name in Scanner.model_fields})
    except ValueError as error:
        raise UserError(f"no such scanner: {error}") from error
    with written_aside(arguments.folder) as folder:
        folder.mkdir()
        write_table(folder, write_phantom(folder, max(20, arguments.images), arguments.seed, scanner))


if __name__ == "__main__":
    main()
