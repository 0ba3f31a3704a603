"""The files of a job, written from the results of its frames."""

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.commands.segment.frames import Options, Result, Task
from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.findings.table import Row
from breast_ultrasound.pages.overlay import encode
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.scans import clips


class UnreadableError(UserError):
    """A scan that cannot be read, which does not stop the others."""


def write_jobs(
    results: Iterable[tuple[Task, Result | UserError]], options: Options
) -> Generator[list[Row] | UnreadableError]:
    """Write each job of consecutive results; yield its rows, or the error of a scan that cannot be read.

    Rows are yielded before the masks are put in place, since a job with a mask counts as done: whoever notes the rows
    at once loses none.
    """
    for job, group in itertools.groupby(results, key=lambda result: result[0].job):
        task, first = next(group)
        of_frames = (_readable(result) for result in itertools.chain([first], (result for _, result in group)))
        written = _still(job, of_frames) if task.rate is None else _clip(job, of_frames, task.rate, options.overlay)
        try:
            with written as rows:
                yield rows
        except UnreadableError as error:
            yield error


def _readable(result: Result | UserError) -> Result:
    if isinstance(result, UserError):
        raise UnreadableError(str(result))
    return result


@contextlib.contextmanager
def _still(job: Job, results: Iterator[Result]) -> Iterator[list[Row]]:
    result = next(results)
    if result.contours is not None:
        with atomic_write(job.overlay) as aside:
            aside.write_bytes(encode(result.contours, ".png"))
    with atomic_write(job.mask) as aside:
        aside.write_bytes(result.mask)
        yield result.rows


@contextlib.contextmanager
def _clip(job: Job, results: Iterator[Result], rate: float, overlay: bool) -> Iterator[list[Row]]:
    rows: list[Row] = []

    def write_masks(folder: Path) -> Iterator[NDArray[np.uint8]]:
        for result in results:
            (folder / result.name).write_bytes(result.mask)
            rows.extend(result.rows)
            if result.contours is not None:
                yield result.contours

    with atomic_write(job.frames) as folder:
        folder.mkdir()
        contours = write_masks(folder)
        if overlay:
            clips.write(job.video, contours, rate)
        # Without an overlay there are no contours to take, and this alone writes the masks.
        for _ in contours:
            pass
        yield rows
