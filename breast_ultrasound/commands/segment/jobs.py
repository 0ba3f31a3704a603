"""The jobs of the command `segment`: its scans, and where the files of each go."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError, printable
from breast_ultrasound.scans.folders import is_below, list_scans
from breast_ultrasound.scans.reading import name_without_suffix

# Ends the name of the folder that holds the masks of a clip.
FRAMES = "_frames"

# Bytes that file systems take, less those of the prefix of a file that is not yet whole.
_LONGEST_NAME = 255 - len(".partial-")

_MASK_STEM = re.compile(r".*_mask(_\d+)?")


@dataclass(frozen=True)
class Job:
    """A scan to segment. A clip is a scan of frames.

    `stem` is the path with which the names of all that is written of it begin: `out/left` of `out/left_mask.png`.
    """

    scan: Path
    stem: Path

    @property
    def mask(self) -> Path:
        """Return the path of a still's mask."""
        return self._named("_mask.png")

    @property
    def overlay(self) -> Path:
        """Return the path of a still's overlay."""
        return self._named("_overlay.png")

    @property
    def frames(self) -> Path:
        """Return the folder of a clip's masks."""
        return self._named(FRAMES)

    def frame_mask(self, number: int) -> Path:
        """Return the path of the mask of a clip's frame, counted from 1."""
        return self.frames / f"{number:05}.png"

    @property
    def video(self) -> Path:
        """Return the path of a clip's overlay."""
        return self._named("_overlay.mp4")

    @property
    def segmentation(self) -> Path:
        """Return the path of the DICOM Segmentation."""
        return self._named("_seg.dcm")

    def _named(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}{ending}")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return all that the job may write."""
        return self.mask, self.frames, self.overlay, self.video, self.segmentation

    def below(self, output: Path, folder: Path) -> "Job":
        """Return the same job with another folder than `output`."""
        return replace(self, stem=folder / self.stem.relative_to(output))

    @property
    def has_mask(self) -> bool:
        """Return whether the mask, or the folder of a clip's masks, is there."""
        return self.mask.exists() or self.frames.exists()

    @property
    def has_overlay(self) -> bool:
        """Return whether the overlay is there."""
        return self.overlay.exists() or self.video.exists()

    def is_in(self, findings: Container[Path]) -> bool:
        """Return whether the mask, or each mask of a clip, is one of the masks with findings."""
        masks = list(self.frames.iterdir()) if self.frames.is_dir() else [self.mask]
        return bool(masks) and all(mask in findings for mask in masks)

    @property
    def name_problem(self) -> str | None:
        """Return why nothing can be written under the scan's name; None where it can."""
        try:
            f"{self.scan} {self.stem}".encode()
        except UnicodeEncodeError:
            return f"{self.scan}: its name is not in UTF-8, so that no table can hold it. Rename it."
        if max(len(path.name.encode()) for path in self.outputs) > _LONGEST_NAME:
            return f"{self.scan}: its name is too long for those of its mask and overlay. Shorten it."
        return None


def plan_jobs(inputs: Iterable[Path], output: Path) -> list[Job]:
    """Return a job for each file, and for each scan in each folder, whose structure is kept.

    UserError if an input is missing, a folder holds no scan, two masks would have one name, or one would lie among the
    scans, where a mask that somebody drew may have its name.
    """
    jobs = []
    for path in inputs:
        if path.is_dir():
            scans = find_scans(path, output)
            jobs += [Job(scan, _stem(output / scan.relative_to(path))) for scan in scans]
        elif path.exists():
            jobs.append(Job(path, _stem(output / path.name)))
        else:
            raise UserError(f"{path}: does not exist.")
    jobs = _distinct(jobs)
    _check_targets(jobs)
    return jobs


def _stem(scan: Path) -> Path:
    return scan.with_name(name_without_suffix(scan))


def find_scans(folder: Path, output: Path) -> list[Path]:
    """Return the scans in a folder and below, sorted; masks of a release, system files and `output` are left out.

    UserError if there is no scan. DICOM objects without pixels are counted, not returned.
    """
    listing = list_scans(folder, left_out=output if is_below(output, folder) else None)
    if listing.without_pixels:
        left_out = f"DICOM objects without pixels, such as reports, are left out: {len(listing.without_pixels)}"
        print(printable(f"{folder}: {left_out}"))
    scans = [scan for scan in listing.scans if not _MASK_STEM.fullmatch(scan.stem)]
    if not scans:
        raise UserError(f"{folder}: holds no image, DICOM file or clip.")
    return scans


def _distinct(jobs: list[Job]) -> list[Job]:
    """Return the jobs with masks of different names: where two are the same, the suffix of the scan is added, and where
    they still are, the folder of the scan.
    """
    names: tuple[Callable[[Job], Path], ...] = (
        lambda job: job.stem.with_name(job.scan.name),
        lambda job: job.stem.parent / job.scan.absolute().parent.name / job.stem.name,
    )
    for name in names:
        counts = Counter(job.stem for job in jobs)
        jobs = [replace(job, stem=name(job)) if counts[job.stem] > 1 else job for job in jobs]
    return jobs


def _check_targets(jobs: list[Job]) -> None:
    counts = Counter(job.stem for job in jobs)
    clips = {job.frames for job in jobs}
    scans = {job.scan.parent.resolve(): job.scan for job in jobs}
    for job in jobs:
        if counts[job.stem] > 1 or not clips.isdisjoint(job.mask.parents):
            raise UserError(f"{job.scan}: its mask {job.mask} would overwrite another one. Segment the two apart.")
        if scan := scans.get(job.mask.parent.resolve()):
            raise UserError(f"{job.mask.parent}: holds the scan {scan.name}. Give another folder with --output.")


def clear(job: Job) -> None:
    """Remove the files of a job that an earlier run left, so that no overlay lies beside the mask of another run."""
    for path in job.outputs:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
