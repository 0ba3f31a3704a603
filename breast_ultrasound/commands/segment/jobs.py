"""The jobs of the command `segment`: its scans, and where the files of each go."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import is_below, list_scans
from breast_ultrasound.scans.reading import name_without_suffix

# Ends the name of the folder that holds the masks of a clip.
FRAMES = "_frames"

# Ends the name of a DICOM Segmentation.
SEG = "_seg.dcm"

_MASK_STEM = re.compile(r".*_mask(_\d+)?")


@dataclass(frozen=True)
class Job:
    """A scan to segment and the path of its mask, beside which all else is written. A clip is a scan of frames."""

    scan: Path
    mask: Path

    @property
    def overlay(self) -> Path:
        """Return the path of a still's overlay."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.png")

    @property
    def frames(self) -> Path:
        """Return the folder of a clip's masks."""
        return self.mask.with_name(f"{self.mask.stem}{FRAMES}")

    def frame_mask(self, number: int) -> Path:
        """Return the path of the mask of a clip's frame, counted from 1."""
        return self.frames / f"{number:05}.png"

    @property
    def video(self) -> Path:
        """Return the path of a clip's overlay."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.mp4")

    @property
    def segmentation(self) -> Path:
        """Return the path of the DICOM Segmentation."""
        return self.mask.with_name(f"{self.mask.stem}{SEG}")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return all that the job may write."""
        return self.mask, self.frames, self.overlay, self.video, self.segmentation

    def below(self, output: Path, folder: Path) -> "Job":
        """Return the same job with another folder than `output`."""
        return replace(self, mask=folder / self.mask.relative_to(output))

    @property
    def is_done(self) -> bool:
        """Return whether the mask, or the folder of a clip's masks, exists."""
        return self.mask.exists() or self.frames.exists()


def plan_jobs(inputs: Iterable[Path], output: Path) -> list[Job]:
    """Return a job for each file, and for each scan in each folder, whose structure is kept.

    UserError if an input is missing, a folder holds no scan, two masks would have one name, or an output would
    overwrite an input.
    """
    jobs = []
    for path in inputs:
        if path.is_dir():
            scans = find_scans(path, output)
            jobs += [Job(scan, _mask_path(output / scan.relative_to(path))) for scan in scans]
        elif path.exists():
            jobs.append(Job(path, _mask_path(output / path.name)))
        else:
            raise UserError(f"{path}: does not exist.")
    jobs = _distinct(jobs)
    _check_targets(jobs)
    return jobs


def _mask_path(scan: Path) -> Path:
    return scan.with_name(f"{name_without_suffix(scan)}.png")


def find_scans(folder: Path, output: Path) -> list[Path]:
    """Return the scans in a folder and below, sorted; masks of a release, system files and `output` are left out.

    UserError if there is no scan. DICOM objects without pixels are counted, not returned.
    """
    listing = list_scans(folder, left_out=output if is_below(output, folder) else None)
    if listing.without_pixels:
        print(f"{folder}: DICOM objects without pixels, such as reports, are left out: {len(listing.without_pixels)}")
    scans = [scan for scan in listing.scans if not _MASK_STEM.fullmatch(scan.stem)]
    if not scans:
        raise UserError(f"{folder}: holds no image, DICOM file or clip.")
    return scans


def _distinct(jobs: list[Job]) -> list[Job]:
    """Return the jobs with masks of different names: where two are the same, the suffix of the scan is added, and where
    they still are, the folder of the scan.
    """
    names: tuple[Callable[[Job], Path], ...] = (
        lambda job: job.mask.with_name(f"{job.scan.name}.png"),
        lambda job: job.mask.parent / job.scan.absolute().parent.name / job.mask.name,
    )
    for name in names:
        counts = Counter(job.mask for job in jobs)
        jobs = [replace(job, mask=name(job)) if counts[job.mask] > 1 else job for job in jobs]
    return jobs


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
    """Remove the files of a job that an earlier run left, so that no overlay lies beside the mask of another run."""
    for path in job.outputs:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
