"""Draw phantom images as another scanner would show them: `uv run phantom FOLDER --seed 7 --sector 70`.

Writes a folder for `external` in params.yaml or for `data.sources`; params.yaml explains the settings of the
scanner. Not part of the pipeline.
"""

import argparse
from pathlib import Path

from pydantic import ValidationError

from breast_ultrasound.cases.raw import write_table
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
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
        raise UserError(f"{arguments.folder}: exists already. Name another folder.")
    try:
        scanner = Scanner.model_validate({name: getattr(arguments, name) for name in Scanner.model_fields})
    except ValidationError as error:
        faults = [f"--{fault['loc'][0]} {fault['input']}: {fault['msg']}" for fault in error.errors()]
        raise UserError("; ".join(faults)) from error
    with atomic_write(arguments.folder) as folder:
        folder.mkdir()
        cases = write_phantom(folder, max(20, arguments.images), arguments.seed, scanner)
        write_table(folder, cases)
    print(f"{arguments.folder}: {len(cases)} images with their masks and a case table. planted.csv holds the truth.")


if __name__ == "__main__":
    main()
