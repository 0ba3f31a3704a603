"""The frames of scans, read one after the other and segmented on their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.findings.table import Row, finding_rows
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.segmentation import segment
from breast_ultrasound.pages.overlay import PREDICTION, encode, overlay
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import open_scan
from breast_ultrasound.scans.scan import Frame

# Of a clip whose file holds no rate.
_FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Options:
    """How frames are read and segmented, and whether an overlay is written; all files go to the folder `output`."""

    network: ExportedNetwork
    postprocessing: Postprocessing
    overlay: bool
    any_modality: bool
    output: Path


@dataclass(frozen=True)
class Task:
    """A frame of a job, or the error that ends it; `rate` is that of a clip in frames per second, None of a still."""

    job: Job
    frame: Frame | UserError
    rate: float | None


@dataclass(frozen=True)
class Result:
    """What is written of a frame: its mask as PNG under a name, its contours or None, and its rows of findings."""

    name: str
    mask: bytes
    contours: NDArray[np.uint8] | None
    rows: list[Row]


def read_tasks(jobs: Iterable[Job], any_modality: bool) -> Iterator[Task]:
    """Yield the frames of each job in turn; a scan that cannot be read ends with a task that holds the error."""
    for job in jobs:
        try:
            with open_scan(job.scan, any_modality) as scan:
                rate = scan.rate or _FRAMES_PER_SECOND if scan.moves else None
                for frame in scan.frames:
                    yield Task(job, frame, rate)
                print(*scan.notes, sep="\n", end="\n" if scan.notes else "")
        except UserError as error:
            yield Task(job, error, None)


def segment_task(task: Task, options: Options) -> Result | UserError:
    """Segment the frame of a task; return its error if it has no frame."""
    job, frame = task.job, task.frame
    if isinstance(frame, UserError):
        return frame
    segmented = segment(frame, options.network, options.postprocessing)
    mask = job.mask if task.rate is None else job.frame_mask(frame.number)
    rows = finding_rows(
        job.scan.as_posix(), mask.relative_to(options.output).as_posix(), segmented, options.network.sha256
    )
    contours = overlay(frame.whole, [(segmented.mask, PREDICTION)]) if options.overlay else None
    return Result(mask.name, encode(segmented.mask * np.uint8(255), ".png"), contours, rows)
