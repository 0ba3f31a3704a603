"""Segment new images: `uv run segment scan.png`, or many files, or folders.

Writes for each image a binary mask PNG of the image's own size, lesion white (255) and healthy tissue black (0), and
with --overlay a picture of the contour on the image. A mask that is there is left, and its image not looked at again;
an image that cannot be read is named at the end, when the others are done. So the same command again goes on where one
stopped. An image with an orientation tag is taken as viewers show it, and its mask fits what they show.

Not part of the pipeline; it uses the network that this one trained and the post-processing fitted for it. For research,
no medical device.
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
from stages.cases.release import is_litter
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
    """A job for each file, and for each scan in each folder, whose structure is kept.

    UserError where an input doesn't exist, a folder holds no image, two masks would have the same name, or a mask or
    overlay that of an input.
    """
    jobs = []
    for path in inputs:
        if path.is_dir():
            found = find_scans(path, output)
            jobs += [Job(file, output / file.relative_to(path).with_suffix(".png")) for file in found]
        elif path.is_file():
            jobs.append(Job(path, output / f"{path.stem}.png"))
        else:
            raise UserError(f"{path}: does not exist.")
    _check_targets(jobs)
    return jobs


def find_scans(folder: Path, output: Path) -> list[Path]:
    """The images in a folder and below, sorted; masks of a release, litter and an output folder in it are let be.

    UserError where there is none.
    """
    made = output.resolve()
    own = {made} if folder.resolve() in made.parents else set()
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix.lower() in SUFFIXES
        and not _MASK_STEM.fullmatch(file.stem)
        and not is_litter(file, folder)
        and own.isdisjoint(file.resolve().parents)
    )
    if not found:
        raise UserError(f"{folder}: holds no image ({', '.join(sorted(SUFFIXES))}).")
    return found


def _check_targets(jobs: list[Job]) -> None:
    targets = Counter(target for job in jobs for target in (job.mask, job.overlay))
    images = {job.image.resolve() for job in jobs}
    for job in jobs:
        if targets[job.mask] > 1:
            raise UserError(f"{job.image}: its mask {job.mask} would overwrite another one. Segment the two apart.")
        for target in (job.mask, job.overlay):
            if target.resolve() in images:
                raise UserError(f"{target}: is an input. Give another folder with --output.")


def segment(image: Grey, network: keras.Model, mirror: bool, steps: Steps) -> Mask:
    """The mask of uint8 [height, width], bool of its shape."""
    box = Letterbox.fit(*image.shape, size=network.input_shape[1])
    square = box.image_in(image)
    probability, _ = predict(network, square[None], mirror)
    return binary_mask(box.image_out(probability[0]), steps)


def clear(job: Job) -> None:
    """Remove what an earlier run left of a job, so that no picture ever lies beside the mask of another run."""
    job.mask.unlink(missing_ok=True)
    job.overlay.unlink(missing_ok=True)


def write(job: Job, image: Grey, mask: Mask, with_overlay: bool) -> None:
    """Write the files of a job, the mask last, since a job with a mask counts as done."""
    if with_overlay:
        with written_aside(job.overlay) as aside:
            aside.write_bytes(encode(overlay(image, [(mask, PREDICTION)]), ".png"))
    with written_aside(job.mask) as aside:
        aside.write_bytes(encode(mask.astype("uint8") * 255, ".png"))


def parse(loaded: Params) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--output", type=Path, default=Path("segmented"), help="folder for the masks (%(default)s)")
    parser.add_argument("--overlay", action="store_true", help="also write a picture of the contour on the image")
    parser.add_argument("--overwrite", action="store_true", help="do also those again whose mask is there")
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
    hardware = device.configure(loaded.hardware, loaded.seed)
    network = model_files.load(arguments.model, hardware.precision)
    if arguments.threshold:
        steps = Steps(threshold=arguments.threshold)
    else:
        steps = read_steps(POSTPROCESS, arguments.model.stem)
    waiting = jobs if arguments.overwrite else [job for job in jobs if not job.mask.exists()]
    for job in waiting:
        clear(job)
    unreadable = []
    for job in tqdm(waiting, desc="segment", unit="image", disable=None):
        try:
            image = read_grey(job.image)
        except UserError as error:
            unreadable.append(str(error))
        else:
            write(job, image, segment(image, network, loaded.predict.mirror, steps), arguments.overlay)
    print(f"masks written to {arguments.output}: {len(waiting) - len(unreadable)}")
    if len(waiting) < len(jobs):
        print(f"masks that were there and stay as they are: {len(jobs) - len(waiting)}; --overwrite makes them anew")
    if unreadable:
        told = "\n".join(unreadable)
        raise UserError(
            f"{len(unreadable)} of {len(jobs)} images could not be read:\n{told}\n"
            "Mend them and run the command again without --overwrite: it does those without a mask alone."
        )


if __name__ == "__main__":
    main()
