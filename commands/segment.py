"""Segment new images: `uv run segment scan.png`, or many files, or folders.

Writes for each image a binary mask PNG of the image's own size, lesion white (255) and healthy tissue black (0), and
with --overlay a picture of the contour on the image. Not part of the pipeline; it uses the network that this one
trained and the post-processing fitted for it. For research, no medical device.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
from tqdm import tqdm

from stages.cases.folds import Run
from stages.cases.images import read_grey
from stages.cases.letterbox import Letterbox
from stages.network import device, model_files
from stages.network.device import Hardware
from stages.network.inference import Predict, predict
from stages.pages.overlay import PREDICTION, encode, overlay
from stages.pipeline.arrays import Grey, Mask
from stages.pipeline.errors import UserError, command
from stages.pipeline.files import written_aside
from stages.pipeline.params import Section, Seed, load
from stages.scoring.postprocess import POSTPROCESS, Steps, binary_mask, read_steps

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}

_MASK_STEM = re.compile(r".*_mask(_\d+)?")


class Params(Section):
    """What this command reads of params.yaml."""

    seed: Seed
    hardware: Hardware
    split: Run
    predict: Predict


@dataclass(frozen=True)
class Job:
    """An image to segment and where its mask goes."""

    image: Path
    mask: Path

    @property
    def overlay(self) -> Path:
        """Where the overlay goes."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.png")


def plan_jobs(inputs: Iterable[Path], output: Path) -> list[Job]:
    """A job for each file, and for each image in each folder, whose structure is kept; masks of a release are let be.

    UserError where an input doesn't exist, a folder holds no image, or two masks would have the same name.
    """
    jobs = []
    for path in inputs:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if _is_scan(file))
            if not found:
                raise UserError(f"{path}: holds no image ({', '.join(sorted(SUFFIXES))}).")
            jobs += [Job(file, output / file.relative_to(path).with_suffix(".png")) for file in found]
        elif path.is_file():
            jobs.append(Job(path, output / f"{path.stem}.png"))
        else:
            raise UserError(f"{path}: does not exist.")
    targets = Counter(target for job in jobs for target in (job.mask, job.overlay))
    for job in jobs:
        if targets[job.mask] > 1:
            raise UserError(f"{job.image}: its mask {job.mask} would overwrite another one. Segment the two apart.")
    return jobs


def _is_scan(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in SUFFIXES and not _MASK_STEM.fullmatch(file.stem)


def check_targets(jobs: list[Job], overwrite: bool) -> None:
    """Refuse to write over an input or, without `overwrite`, over any file."""
    inputs = {job.image.resolve() for job in jobs}
    for target in (target for job in jobs for target in (job.mask, job.overlay)):
        if target.resolve() in inputs:
            raise UserError(f"{target}: is an input. Give another folder with --output.")
        if target.exists() and not overwrite:
            raise UserError(f"{target}: exists. Give another folder with --output, or --overwrite.")


def segment(image: Grey, network: keras.Model, mirror: bool, steps: Steps) -> Mask:
    """The mask of uint8 [height, width], bool of its shape."""
    box = Letterbox.fit(*image.shape, size=network.input_shape[1])
    square = box.image_in(image)
    probability, _ = predict(network, square[None], mirror)
    return binary_mask(box.image_out(probability[0]), steps)


def write(job: Job, image: Grey, mask: Mask, with_overlay: bool) -> None:
    """Write the files of a job."""
    with written_aside(job.mask) as aside:
        aside.write_bytes(encode(mask.astype("uint8") * 255, ".png"))
    if with_overlay:
        with written_aside(job.overlay) as aside:
            aside.write_bytes(encode(overlay(image, [(mask, PREDICTION)]), ".png"))


def parse(loaded: Params) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--output", type=Path, default=Path("segmented"), help="folder for the masks (%(default)s)")
    parser.add_argument("--overlay", action="store_true", help="also write a picture of the contour on the image")
    parser.add_argument("--overwrite", action="store_true", help="replace masks that are there")
    parser.add_argument(
        "--model", type=Path, default=model_files.model_file(loaded.split.run[0]), help="network (%(default)s)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="probability from which on a pixel is lesion, instead of the fitted post-processing",
    )
    arguments = parser.parse_args()
    if arguments.threshold is not None and not 0 < arguments.threshold < 1:
        parser.error("--threshold must lie between 0 and 1")
    return arguments


@command
def main() -> None:
    """Segment the images named on the command line."""
    loaded = load(Params)
    arguments = parse(loaded)
    jobs = plan_jobs(arguments.inputs, arguments.output)
    check_targets(jobs, arguments.overwrite)
    hardware = device.configure(loaded.hardware, loaded.seed)
    network = model_files.load(arguments.model, hardware.precision)
    if arguments.threshold:
        steps = Steps(threshold=arguments.threshold)
    else:
        steps = read_steps(POSTPROCESS, arguments.model.stem)
    for job in tqdm(jobs, desc="segment", unit="image", disable=None):
        image = read_grey(job.image)
        mask = segment(image, network, loaded.predict.mirror, steps)
        write(job, image, mask, arguments.overlay)
    print(f"{len(jobs)} masks in {arguments.output}")


if __name__ == "__main__":
    main()
