"""Hand out the folds that are checked out, or check somebody's split.

`uv run folds --format FORMAT OUT` writes data and folds for other software. nnunet writes a data set of nnU-Net v2,
such as Dataset501_BUSI, with its splits; monai a folder with a datalist; csv the table of folds alone. Both folders
hold the table as well: images that no fold uses are in it with the reason. Images and masks have their native pixels.

`uv run folds --check SPLIT` says which near-duplicates, sweeps and patients lie in several parts of a split: nnU-Net's
splits_final.json, a datalist of MONAI, a CSV table with a column of images and one of parts, or a folder with one for
each part. Images are matched by their id or the name of their file in the release, and those of folders by their
pixels first. Ends with exit code 0 where all images were matched and nothing is parted, else with 1.

Not part of the pipeline.
"""

import argparse
import sys
from pathlib import Path

from breast_ultrasound.cases.folds import GROUPS, UNUSED
from breast_ultrasound.cases.raw import RAW
from breast_ultrasound.commands.folds.audit import Audit, read_audit
from breast_ultrasound.commands.folds.checking import Check, check_split, lines
from breast_ultrasound.commands.folds.formats import FORMATS
from breast_ultrasound.commands.folds.given import read_split
from breast_ultrasound.commands.folds.page import render_page
from breast_ultrasound.commands.folds.table import read_data
from breast_ultrasound.pipeline.errors import UserError, command, printable
from breast_ultrasound.pipeline.files import atomic_write


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--format", choices=FORMATS, help="what to write to OUT")
    action.add_argument("--check", type=Path, metavar="SPLIT", help="the split to check: a file or a folder")
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?", help="the folder, or with csv the file, to make")
    parser.add_argument(
        "--audit", type=Path, default=GROUPS, metavar="FILE", help="check by this table of folds (default: %(default)s)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the pictures of a check")
    parser.add_argument("--most", type=int, default=200, help="how many of a kind the page shows (%(default)s)")
    arguments = parser.parse_args()
    if bool(arguments.format) != bool(arguments.out):
        parser.error("--format needs OUT, and --check takes none")
    if arguments.format and arguments.html:
        parser.error("--html goes with --check alone")
    return arguments


def hand_out(name: str, out: Path) -> None:
    """Write the folds that are checked out in the format of a name."""
    if out.exists():
        raise UserError(f"{out}: exists already. Name another one.")
    folds = read_data()
    FORMATS[name](folds, out)
    counts = folds.table["fold"].value_counts()
    images = len(folds.table) - counts.get(UNUSED, 0)
    print(f"{out}: {images} images in {len(counts.drop(UNUSED, errors='ignore'))} folds")


def find_pictures(check: Check, audit: Audit) -> dict[str, Path]:
    """Return the files of the images that are parted: the split's own, else those of data/raw; UserError without."""
    parted = check.parted()
    files = audit.pictures(case_id for case_id in parted if case_id not in check.files) | check.files
    missing = [case_id for case_id in parted if case_id not in files]
    if missing:
        raise UserError(
            f"--html: {RAW} lacks the pictures of {len(missing)} images, such as {missing[0]}. Check out the data of "
            f"{audit.path}, or leave --html out."
        )
    return files


@command
def main() -> None:
    """Do what the command line says."""
    arguments = parse()
    if arguments.format:
        hand_out(arguments.format, arguments.out)
        return
    audit = read_audit(arguments.audit)
    check = check_split(read_split(arguments.check), audit)
    how = f", {check.by_pixels} files by their pixels" if check.files else ""
    print(f"{audit.path}: {len(audit.table)} images of {audit.sources()}")
    print(f"{arguments.check}: {len(check.places)} of these images{how}")
    print(printable("\n".join(lines(check))))
    if arguments.html:
        page = render_page(check, find_pictures(check, audit), arguments.check.name, arguments.most)
        with atomic_write(arguments.html) as path:
            path.write_text(page, encoding="utf-8")
    if not check.passed:
        sys.exit(1)


if __name__ == "__main__":
    main()
