"""Segment new scans: `uv run segment scan.png`, or many files, or folders of pictures, DICOM files and clips.

Writes for each picture a binary mask PNG of its own size, lesion white (255) and healthy tissue black (0), for each
clip or DICOM file of several frames a folder of them, and with --overlay a picture or video of the contours.
findings.csv and findings.json say of each lesion where it is, how large and how sure, and with --coco annotations.json
holds the masks for annotation tools. A mask that is there is left, and its scan not looked at again; a scan that cannot
be read is named at the end, when the others are done. So the same command again goes on where one stopped. A picture
with an orientation tag is taken as viewers show it, and its mask fits what they show.

Not part of the pipeline; it needs an exported network alone, neither Keras nor the run that trained it. For research,
no medical device.
"""

import argparse
from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError, command


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path, help="pictures, DICOM files, clips, or folders of them")
    parser.add_argument("--output", type=Path, default=Path("segmented"), help="folder for what is made (%(default)s)")
    parser.add_argument("--overlay", action="store_true", help="also write pictures or videos of the contours")
    parser.add_argument("--coco", action="store_true", help="also write annotations.json, all masks as COCO JSON")
    parser.add_argument("--dicom-seg", action="store_true", help="also write a DICOM Segmentation for each DICOM file")
    parser.add_argument("--overwrite", action="store_true", help="do also those again whose mask is there")
    parser.add_argument("--model", type=Path, help="exported network (that of the run, or the pretrained one)")
    parser.add_argument("--device", choices=["CPU", "GPU"], default="CPU", help="GPU: one of Intel's (%(default)s)")
    parser.add_argument(
        "--threshold",
        type=float,
        help="probability from which on a pixel is lesion, instead of the fitted post-processing",
    )
    parser.add_argument("--any-modality", action="store_true", help="take DICOM files that are no ultrasound, too")
    arguments = parser.parse_args()
    for path in [*arguments.inputs, *([arguments.model] if arguments.model else [])]:
        if not path.exists():
            raise UserError(f"{path}: does not exist.")
    if arguments.threshold is not None and not 0 < arguments.threshold < 1:
        parser.error("--threshold must lie between 0 and 1")
    return arguments


@command
def main() -> None:
    """Segment the scans named on the command line."""
    arguments = parse()
    # What a mistyped name need not wait for.
    from breast_ultrasound.commands.segment import segmenting  # noqa: PLC0415

    segmenting.run(arguments)


if __name__ == "__main__":
    main()
