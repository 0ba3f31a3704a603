"""What the command `segment` does: plan the jobs, open the network, write the files and print a summary."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.commands.segment.frames import Options
from breast_ultrasound.commands.segment.holding import held
from breast_ultrasound.commands.segment.jobs import Job, clear, plan_jobs
from breast_ultrasound.commands.segment.request import Request
from breast_ultrasound.commands.segment.spreading import by_frame, by_scan
from breast_ultrasound.commands.segment.tables import (
    check_alike,
    has_findings,
    has_notes,
    note,
    read_findings,
    write_coco,
    write_dicom_seg,
    write_findings,
)
from breast_ultrasound.commands.segment.writing import UnreadableError
from breast_ultrasound.findings.table import Row
from breast_ultrasound.inference.choice import Choice, choose
from breast_ultrasound.inference.exported import digest
from breast_ultrasound.inference.output import FARTHEST
from breast_ultrasound.pipeline.engine import cluster_address
from breast_ultrasound.pipeline.errors import UserError, printable
from breast_ultrasound.scans.reading import PICTURES

# So many frames get a line each; more of them are in the tables alone.
_MOST_LINES = 10


@dataclass
class Workload:
    """The jobs of a command and what it has done so far.

    The masks of the jobs in `outdated` are made, those in `incomplete` lack the overlay alone. `unreadable` names scans
    and why they cannot be read.
    """

    jobs: Sequence[Job]
    outdated: Sequence[Job]
    incomplete: Sequence[Job]
    unreadable: list[str]
    rows: list[Row] = field(default_factory=list)
    scans: int = 0


def run(request: Request) -> None:
    """Segment the scans of a request and write all that it asks for; UserError if some cannot be read."""
    jobs = plan_jobs(request.inputs, request.output)
    choice = choose(request.model)
    with held(request.output):
        for aside in request.output.glob(".partial-*_mask.png"):
            # What a command that was killed was writing; nobody else writes here while the folder is held.
            aside.unlink(missing_ok=True)
        findings = write_findings(request.output) if has_notes(request.output) else read_findings(request.output)
        progress = compare(request, jobs, findings)
        check_alike(findings_kept(request, jobs, findings), digest(choice.file.path), request.threshold, request.output)
        if waiting := [*progress.outdated, *progress.incomplete]:
            segment_waiting(progress, open_options(request, choice, waiting))
            findings = read_findings(request.output)
        if request.coco and findings:
            write_coco(findings, request.output)
        unwritten = write_dicom_seg(findings, progress.jobs, request.output) if request.dicom_seg else []
    print_summary(progress, request.output)
    if progress.unreadable:
        raise UserError(
            "\n".join([f"{len(progress.unreadable)} of {len(jobs)} images could not be read:", *progress.unreadable])
            + "\nMend them and run the command again without --overwrite: it does those without a mask alone."
        )
    if unwritten:
        raise UserError("\n".join(unwritten))


def compare(request: Request, jobs: Sequence[Job], findings: Sequence[Row]) -> Workload:
    """Compare the jobs with the output folder: which have no mask with findings, and which lack an overlay.

    UserError if a mask is there and no findings say that this command made it.
    """
    problems = [job.name_problem for job in jobs]
    jobs = [job for job, problem in zip(jobs, problems, strict=True) if problem is None]
    masks = {request.output / row["mask"] for row in findings}
    done = set() if request.overwrite else {job for job in jobs if job.is_in(masks)}
    outdated = [job for job in jobs if job not in done]
    if not request.overwrite and not has_findings(request.output):
        for job in outdated:
            if job.has_mask:
                raise UserError(
                    f"{job.mask}: is there, and no findings.json says that this command made it. "
                    "Give another folder with --output, or --overwrite."
                )
    incomplete = [job for job in jobs if job in done and request.overlay and not job.has_overlay]
    return Workload(jobs, outdated, incomplete, [problem for problem in problems if problem])


def findings_kept(request: Request, jobs: Sequence[Job], findings: Sequence[Row]) -> list[Row]:
    """Return the findings of the masks that the command does not replace."""
    if not request.overwrite:
        return list(findings)
    replaced = {path for job in jobs for path in (job.mask, job.frames)}
    masks = [request.output / row["mask"] for row in findings]
    return [row for row, mask in zip(findings, masks, strict=True) if replaced.isdisjoint((mask, mask.parent))]


def open_options(request: Request, choice: Choice, jobs: Sequence[Job]) -> Options:
    """Open the network and print which one it is."""
    many = len(jobs) > 1 or any(job.scan.suffix.lower() not in PICTURES for job in jobs)
    network = choice.file.open(request.device, many)
    print(printable(choice.reason))
    postprocessing = network.card.postprocessing
    if request.threshold:
        postprocessing = replace(postprocessing, steps=Steps(threshold=request.threshold))
    return Options(network, postprocessing, request.threshold, request.overlay, request.any_modality, request.output)


def segment_waiting(progress: Workload, options: Options) -> None:
    """Do the jobs that are not done, outdated ones on a cluster if there is one. UserError if the user stops it."""
    for job in progress.outdated:
        clear(job)
    segment_all = by_scan if cluster_address() else by_frame
    try:
        for segment_each, jobs in ((segment_all, progress.outdated), (by_frame, progress.incomplete)):
            if jobs:
                with contextlib.closing(segment_each(jobs, options)) as outcomes:
                    follow(outcomes, progress, options.output)
    except KeyboardInterrupt as error:
        waiting = [*progress.outdated, *progress.incomplete]
        done = sum(job.has_mask and (job.has_overlay or not options.overlay) for job in waiting)
        raise UserError(
            f"stopped; {done} of {len(waiting)} scans are done. The same command goes on with the others."
        ) from error
    finally:
        if progress.rows:
            write_findings(options.output)


def follow(outcomes: Iterable[list[Row] | UnreadableError], progress: Workload, output: Path) -> None:
    """Note the outcome of each job in `progress` and, in case the command is killed, in the output folder's journal."""
    for outcome in outcomes:
        if isinstance(outcome, UnreadableError):
            progress.unreadable.append(str(outcome))
        elif outcome:
            note(outcome, output)
            progress.rows += outcome
            progress.scans += 1


def doubt(unlike: Sequence[str], frames: int) -> str:
    """Return the line that names the scans of frames, some of all, that are unlike the images of the network."""
    names = ", ".join(dict.fromkeys(unlike[:_MOST_LINES])) + (" …" if len(unlike) > _MOST_LINES else "")
    return (
        f"{len(unlike)} of {frames} frames are unlike the images that the network was tested on, so that its answers "
        f"may be wrong (feature_distance above {FARTHEST} in findings.csv): {names}"
    )


def print_summary(progress: Workload, output: Path) -> None:
    """Print the class and the predicted Dice of few frames, and what was written."""
    frames = {(row["image"], row["frame"]): row for row in progress.rows}
    if len(frames) <= _MOST_LINES:
        for (image, _), row in frames.items():
            share = f"{row['class']} ({row['p_' + row['class']]:.0%}), " if row["class"] else ""
            print(printable(f"{image}: {share}predicted Dice of the mask {row['predicted_dice']:.2f}"))
    if unlike := [image for (image, _), row in frames.items() if (row["feature_distance"] or 0) > FARTHEST]:
        print(printable(doubt(unlike, len(frames))))
    if progress.scans:
        lesions = sum(row["lesion"] > 0 for row in progress.rows)
        written = f"masks of {progress.scans} scan(s) written to {output}, lesions: {lesions}"
        print(printable(f"{written}; more in {output / 'findings.csv'}"))
    kept = len(progress.jobs) - len(progress.outdated)
    if kept:
        print(f"masks that were there and stay as they are: {kept}; --overwrite makes them anew")
