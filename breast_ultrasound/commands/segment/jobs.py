"""The jobs of the command `segment`: which scans, and where what is made of each goes."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.litter import is_litter
from breast_ultrasound.scans.reading import is_scan

# What the folder of the masks of a scan of several frames ends in.
FRAMES = "_frames"

# What a DICOM Segmentation ends in.
SEG = "_seg.dcm"

_MASK_STEM = re.compile(r".*_mask(_\d+)?")


@dataclass(frozen=True)
class Job:
    """A scan to segment and where its mask goes."""

    scan: Path
    mask: Path

    @property
    def overlay(self) -> Path:
        """Where the overlay of a picture goes."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.png")

    @property
    def frames(self) -> Path:
        """The folder for the masks of a scan of several frames."""
        return self.mask.with_name(f"{self.mask.stem}{FRAMES}")

    @property
    def video(self) -> Path:
        """Where the overlay of a scan of several frames goes."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.mp4")

    @property
    def segmentation(self) -> Path:
        """Where the DICOM Segmentation goes."""
        return self.mask.with_name(f"{self.mask.stem}{SEG}")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that it may write."""
        return self.mask, self.frames, self.overlay, self.video, self.segmentation

    def below(self, output: Path, folder: Path) -> "Job":
        """The same job written to another folder than `output`."""
        return replace(self, mask=folder / self.mask.relative_to(output))

    @property
    def is_done(self) -> bool:
        """Whether its mask is there, or its frames' masks are."""
        return self.mask.exists() or self.frames.exists()


def plan_jobs(inputs: Iterable[Path], output: Path) -> list[Job]:
    """A job for each file, and for each scan in each folder, whose structure is kept.

    UserError where an input doesn't exist, a folder holds no scan, two masks would have the same name, or an output
    that of an input.
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
    """The scans in a folder and below, sorted; masks of a release, litter and an output folder in it are let be.

    UserError where there is none.
    """
    made = output.resolve()
    own = {made} if folder.resolve() in made.parents else set()
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not _MASK_STEM.fullmatch(file.stem)
        and not is_litter(file, folder)
        and own.isdisjoint(file.resolve().parents)
        and is_scan(file)
    )
    if not found:
        raise UserError(f"{folder}: holds no image, DICOM file or clip.")
    return found


def _check_targets(jobs: list[Job]) -> None:
    targets = Counter(target for job in jobs for target in job.outputs)
    scans = {job.scan.resolve() for job in jobs}
    folders = {job.frames for job in jobs}
    for job in jobs:
        if targets[job.mask] > 1 or not folders.isdisjoint(job.mask.parents):
            raise UserError(f"{job.scan}: its mask {job.mask} would overwrite another one. Segment the two apart.")
        for target in job.outputs:
            if target.resolve() in scans:
                raise UserError(f"{target}: is an input. Give another folder with --output.")


def clear(job: Job) -> None:
    """Remove what an earlier run left of a job, so that no picture ever lies beside the mask of another run."""
    for path in job.outputs:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
