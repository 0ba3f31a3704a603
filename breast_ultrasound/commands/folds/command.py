"""Hand out the data and folds that are checked out: `uv run folds --format FORMAT OUT`.

nnunet writes a data set of nnU-Net v2, such as Dataset501_BUSI, with its splits; monai a folder with a datalist; csv
the table of folds alone. Both folders hold the table as well: images that no fold uses are in it with the reason.
Images and masks have their native pixels.

Not part of the pipeline.
"""

import argparse
from pathlib import Path

from breast_ultrasound.cases.folds import UNUSED
from breast_ultrasound.commands.folds.formats import FORMATS
from breast_ultrasound.commands.folds.table import read_data
from breast_ultrasound.pipeline.errors import UserError, command


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder, or with csv the file, to make")
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    return parser.parse_args()


def hand_out(name: str, out: Path) -> None:
    """Write the folds that are checked out in the format of a name."""
    if out.exists():
        raise UserError(f"{out}: exists already. Name another one.")
    folds = read_data()
    FORMATS[name](folds, out)
    counts = folds.table["fold"].value_counts()
    images = len(folds.table) - counts.get(UNUSED, 0)
    print(f"{out}: {images} images in {len(counts.drop(UNUSED, errors='ignore'))} folds")


@command
def main() -> None:
    """Hand out folds as the command line says."""
    arguments = parse()
    hand_out(arguments.format, arguments.out)


if __name__ == "__main__":
    main()
