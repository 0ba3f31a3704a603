"""How jobs are spread: frames over the cores of this machine, or scans over the machines of a cluster."""

import shutil
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from breast_ultrasound.commands.segment.frames import Options, Result, Task, read_tasks, segment_task
from breast_ultrasound.commands.segment.jobs import Job
from breast_ultrasound.commands.segment.writing import UnreadableError, write_jobs
from breast_ultrasound.findings.table import Row
from breast_ultrasound.pipeline.engine import map_on_all_cores, map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import PICTURES


def by_frame(jobs: Sequence[Job], options: Options) -> Generator[list[Row] | UnreadableError]:
    """Segment and write jobs one after the other, the frames of each on all cores; yield as `write_jobs` does."""
    total = len(jobs) if all(job.scan.suffix.lower() in PICTURES for job in jobs) else None

    def segment_one(task: Task) -> tuple[Task, Result | UserError]:
        return task, segment_task(task, options)

    results = map_on_all_cores(segment_one, read_tasks(jobs, options.any_modality), "segment", total)
    return write_jobs(results, options)


def by_scan(jobs: Sequence[Job], options: Options) -> Generator[list[Row] | UnreadableError]:
    """Do the same, each job as a whole on one of the machines of a cluster.

    A machine writes a job to a folder of its own, and this process puts it in place. A job that two machines did, one
    of them given up for dead, or that nobody waits for any more, leaves nothing.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=options.output, prefix=".partial-", ignore_cleanup_errors=True) as aside,
        tempfile.NamedTemporaryFile(dir=aside) as sentinel,
    ):
        segment_one = partial(_segment_aside, Path(aside), Path(sentinel.name), options)
        for job, (folder, outcome) in zip(jobs, map_on_all_machines(segment_one, jobs, "segment"), strict=True):
            yield outcome
            # The masks last, since a job with a mask counts as done.
            for made, target in zip(job.below(options.output, folder).outputs[::-1], job.outputs[::-1], strict=True):
                if made.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if target.is_dir():
                        shutil.rmtree(target)
                    made.replace(target)


def _segment_aside(aside: Path, sentinel: Path, options: Options, job: Job) -> tuple[Path, list[Row] | UnreadableError]:
    """Write a job to a new folder in `aside`; the command runs as long as its `sentinel` exists."""
    folder = Path(tempfile.mkdtemp(dir=aside))
    local = replace(options, output=folder)
    tasks = read_tasks([job.below(options.output, folder)], options.any_modality)
    try:
        [outcome] = write_jobs(((task, segment_task(task, local)) for task in tasks), local)
        return folder, outcome
    finally:
        # The command has ended and removed `aside`, and writing made the folder anew.
        if not sentinel.exists():
            shutil.rmtree(aside, ignore_errors=True)
