"""What the command `segment` does: plan the jobs, open the network, write the files and print a summary."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.commands.segment.frames import Options
from breast_ultrasound.commands.segment.jobs import Job, clear, plan_jobs
from breast_ultrasound.commands.segment.request import Request
from breast_ultrasound.commands.segment.spreading import by_frame, by_scan
from breast_ultrasound.commands.segment.tables import has_notes, note, write_coco, write_dicom_seg, write_findings
from breast_ultrasound.commands.segment.writing import UnreadableError
from breast_ultrasound.findings.table import Row
from breast_ultrasound.inference.choice import choose
from breast_ultrasound.inference.exported import open_network
from breast_ultrasound.pipeline.engine import cluster_address
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import PICTURES

# So many frames get a line each; more of them are in the tables alone.
_MOST_LINES = 10


@dataclass
class Progress:
    """The jobs of a command, those of them that it has to do, and what it has done so far."""

    jobs: Sequence[Job]
    waiting: Sequence[Job]
    rows: list[Row] = field(default_factory=list)
    scans: int = 0
    unreadable: list[str] = field(default_factory=list)


def run(request: Request) -> None:
    """Segment the scans of a request and write all that it asks for; UserError if some cannot be read."""
    jobs = plan_jobs(request.inputs, request.output)
    progress = Progress(jobs, [job for job in jobs if request.overwrite or not job.is_done])
    if has_notes(request.output):
        write_findings(request.output)
    if progress.waiting:
        segment_waiting(progress, open_options(request, progress.waiting))
    if request.coco:
        write_coco(write_findings(request.output), request.output)
    if request.dicom_seg:
        write_dicom_seg(progress.rows, request.output)
    print_summary(progress, request.output)
    if progress.unreadable:
        raise UserError(
            "\n".join([f"{len(progress.unreadable)} of {len(jobs)} images could not be read:", *progress.unreadable])
            + "\nMend them and run the command again without --overwrite: it does those without a mask alone."
        )


def open_options(request: Request, jobs: Sequence[Job]) -> Options:
    """Open the network and print which one it is."""
    choice = choose(request.model)
    many = len(jobs) > 1 or any(job.scan.suffix.lower() not in PICTURES for job in jobs)
    network = open_network(choice.path, request.device, many)
    print(choice.reason)
    postprocessing = network.card.postprocessing
    if request.threshold:
        postprocessing = replace(postprocessing, steps=Steps(threshold=request.threshold))
    return Options(network, postprocessing, request.overlay, request.any_modality, request.output)


def segment_waiting(progress: Progress, options: Options) -> None:
    """Do the waiting jobs, on the machines of a cluster if there is one. UserError if the user stops it."""
    for job in progress.waiting:
        clear(job)
    segment_all = by_scan if cluster_address() else by_frame
    try:
        with contextlib.closing(segment_all(progress.waiting, options)) as outcomes:
            follow(outcomes, progress, options.output)
    except KeyboardInterrupt as error:
        done = sum(job.is_done for job in progress.waiting)
        raise UserError(
            f"stopped; {done} of {len(progress.waiting)} scans are done. The same command goes on with the others."
        ) from error
    finally:
        if progress.rows:
            write_findings(options.output)


def follow(outcomes: Iterable[list[Row] | UnreadableError], progress: Progress, output: Path) -> None:
    """Note the outcome of each job in `progress` and, in case the command is killed, in the output folder's journal."""
    for outcome in outcomes:
        if isinstance(outcome, UnreadableError):
            progress.unreadable.append(str(outcome))
        else:
            note(outcome, output)
            progress.rows += outcome
            progress.scans += 1


def print_summary(progress: Progress, output: Path) -> None:
    """Print the class and the predicted Dice of few frames, and what was written."""
    frames = {(row["image"], row["frame"]): row for row in progress.rows}
    if len(frames) <= _MOST_LINES:
        for (image, _), row in frames.items():
            share = f"{row['class']} ({row['p_' + row['class']]:.0%}), " if row["class"] else ""
            print(f"{image}: {share}predicted Dice of the mask {row['predicted_dice']:.2f}")
    lesions = sum(row["lesion"] > 0 for row in progress.rows)
    print(f"masks of {progress.scans} scan(s) written to {output}, lesions: {lesions}; more in {output}/findings.csv")
    kept = len(progress.jobs) - len(progress.waiting)
    if kept:
        print(f"masks that were there and stay as they are: {kept}; --overwrite makes them anew")
