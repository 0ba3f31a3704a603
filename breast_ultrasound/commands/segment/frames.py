"""The frames of scans, read one after the other and segmented on their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.findings.table import Row, finding_rows
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.segmentation import segment
from breast_ultrasound.pages.overlay import PREDICTION, encode, overlay
from breast_ultrasound.pipeline.errors import UserError, printable
from breast_ultrasound.scans.reading import open_scan
from breast_ultrasound.scans.scan import Frame

# Of a clip whose file holds no rate.
_FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Options:
    """How frames are read and segmented, and whether an overlay is written; all files go to the folder `output`.

    `threshold` is the one that was given in place of the network's own post-processing, None where none was.
    """

    network: ExportedNetwork
    postprocessing: Postprocessing
    threshold: float | None
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
                for note in scan.notes:
                    print(printable(note))
        except UserError as error:
            yield Task(job, error, None)


def segment_task(task: Task, options: Options) -> Result | UserError:
    """Segment the frame of a task, or take its mask where that is there; return its error if it has no frame.

    The findings of a mask that is there stay as they are, so that there are no rows.
    """
    job, frame = task.job, task.frame
    if isinstance(frame, UserError):
        return frame
    path = job.mask if task.rate is None else job.frame_mask(frame.number)
    if path.exists():
        mask, rows = read_grey(path) > 0, []
        if mask.shape != frame.whole.shape:
            return UserError(f"{path}: has another size than its scan. Give --overwrite.")
    else:
        segmented = segment(frame, options.network, options.postprocessing)
        mask, name = segmented.mask, path.relative_to(options.output).as_posix()
        rows = finding_rows(job.scan.as_posix(), name, segmented, options.network.sha256, options.threshold)
    contours = overlay(frame.whole, [(mask, PREDICTION)]) if options.overlay else None
    return Result(path.name, encode(mask * np.uint8(255), ".png"), contours, rows)
