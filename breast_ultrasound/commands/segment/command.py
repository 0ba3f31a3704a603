"""Segment new scans: `uv run segment scan.png`, or many files, or folders of pictures, DICOM files and clips.

Writes for each picture a binary mask PNG of its own size, lesion white (255) and healthy tissue black (0), for each
clip or DICOM file of several frames a folder of them, and with --overlay a picture or video of the contours.
findings.csv and findings.json hold place, size and probability of each lesion, and with --coco annotations.json holds
the masks for annotation tools. A scan whose mask and findings are there is skipped; a scan that cannot be read is named
at the end, when the others are done. So the same command goes on where it was stopped. A picture with an orientation
tag is turned as viewers turn it, and its mask fits what they display.

It needs an exported network alone, neither Keras nor the run that trained it. For research, no medical device.
"""

import argparse
from pathlib import Path

from breast_ultrasound.commands.segment.request import Request
from breast_ultrasound.pipeline.errors import UserError, command


def parse() -> Request:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path, help="pictures, DICOM files, clips, or folders of them")
    parser.add_argument("--output", type=Path, default=Path("segmented"), help="folder for all files (%(default)s)")
    parser.add_argument("--overlay", action="store_true", help="also write pictures or videos of the contours")
    parser.add_argument("--coco", action="store_true", help="also write annotations.json, all masks as COCO JSON")
    parser.add_argument("--dicom-seg", action="store_true", help="also write a DICOM Segmentation for each DICOM file")
    parser.add_argument("--overwrite", action="store_true", help="also segment scans that have a mask")
    parser.add_argument("--model", type=Path, help="exported network (by default the run's or the pretrained one)")
    parser.add_argument("--device", choices=["CPU", "GPU"], default="CPU", help="GPU: one of Intel's (%(default)s)")
    parser.add_argument(
        "--threshold",
        type=float,
        help="lowest probability of a lesion pixel, in place of the fitted post-processing",
    )
    parser.add_argument("--any-modality", action="store_true", help="also take DICOM files that are no ultrasound")
    request = Request(**vars(parser.parse_args()))
    for path in [*request.inputs, *([request.model] if request.model else [])]:
        if not path.exists():
            raise UserError(f"{path}: does not exist.")
    if request.threshold is not None and not 0 < request.threshold < 1:
        parser.error("--threshold must lie between 0 and 1")
    return request


@command
def main() -> None:
    """Segment the scans named on the command line."""
    request = parse()
    # Loads slowly, and a mistyped name is reported before.
    from breast_ultrasound.commands.segment.running import run  # noqa: PLC0415

    run(request)


if __name__ == "__main__":
    main()
