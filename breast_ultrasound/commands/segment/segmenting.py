"""What the command `segment` does: how a scan is read, segmented and written, and what is said of it."""

import argparse
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.answer import Fitted
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.commands.segment.jobs import Job, clear, plan_jobs
from breast_ultrasound.commands.segment.tables import has_notes, note, write_coco, write_dicom_seg, write_findings
from breast_ultrasound.findings import table
from breast_ultrasound.findings.lesions import find_lesions
from breast_ultrasound.findings.table import Answer, Row
from breast_ultrasound.inference.choice import choose
from breast_ultrasound.inference.exported import Network, open_network
from breast_ultrasound.pages.overlay import PREDICTION, encode, overlay
from breast_ultrasound.pipeline.engine import cluster_address, map_on_all_cores, map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.scans import clips
from breast_ultrasound.scans.reading import PICTURES, opened
from breast_ultrasound.scans.scan import Frame

# So many frames are told of one by one; of more, the tables tell.
_TOLD = 10

# Of a clip whose file doesn't tell.
_FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Options:
    """How a frame is segmented, and what is written of it."""

    network: Network
    fitted: Fitted
    overlay: bool
    output: Path


@dataclass(frozen=True)
class Task:
    """A frame of a job, or what was wrong with it; `rate` is that of the frames per second, None of a single one."""

    job: Job
    frame: Frame | UserError
    rate: float | None


@dataclass(frozen=True)
class Result:
    """What a frame comes to: its mask as PNG, the contours on the frame, and its findings, less the mask's name."""

    mask: bytes
    picture: NDArray[np.uint8] | None
    answer: Answer
    frame: Row


@dataclass
class Done:
    """What a command has done so far."""

    rows: list[Row] = field(default_factory=list)
    scans: int = 0
    unreadable: list[str] = field(default_factory=list)


def read(jobs: Iterable[Job], any_modality: bool) -> Iterator[Task]:
    """The frames of each job in turn, and at the end of those that can be read what is wrong with it, if something is.

    A scan is one of several frames where its file says so or is a clip.
    """
    for job in jobs:
        try:
            with opened(job.scan, any_modality) as scan:
                moves = scan.length != 1 or job.scan.suffix.lower() in clips.SUFFIXES
                rate = scan.rate or _FRAMES_PER_SECOND if moves else None
                for frame in scan.frames:
                    yield Task(job, frame, rate)
        except UserError as error:
            yield Task(job, error, None)


def segment(task: Task, options: Options) -> Result | UserError:
    """Segment a frame: the network's answer on the part that shows tissue, mapped back to the whole frame."""
    frame, network = task.frame, options.network
    if isinstance(frame, UserError):
        return frame
    box = Letterbox.fit(*frame.image.shape, size=network.card.size)
    square, classes = network.predict(box.image_in(frame.image))
    native = box.image_out(square)
    found = options.fitted.judge(native, classes)
    mask, probability = frame.on_whole(found.mask), frame.on_whole(native)
    answer = Answer(
        find_lesions(mask, probability, frame.mm_per_pixel),
        peak_probability=int(native.max()) / 255,
        classes=dict(zip(network.card.classes, map(float, classes), strict=True)),
        expected_dice=found.dice,
    )
    picture = overlay(frame.whole, [(mask, PREDICTION)]) if options.overlay else None
    return Result(encode(mask.astype("uint8") * 255, ".png"), picture, answer, _described(task.job, frame))


def _described(job: Job, frame: Frame) -> Row:
    height, width = frame.whole.shape
    mm_per_row, mm_per_column = frame.mm_per_pixel or (None, None)
    size = {"height": height, "width": width, "mm_per_row": mm_per_row, "mm_per_column": mm_per_column}
    return {"image": job.scan.as_posix(), "frame": frame.number, **size}


@contextlib.contextmanager
def written(
    job: Job, results: Iterator[Result | UserError], rate: float | None, options: Options
) -> Iterator[list[Row]]:
    """Write the files of a job and yield the rows of its findings, so that they can be noted before the masks, which
    say that a job is done, are put in place at the end.

    UserError where a frame could not be read, which leaves nothing of the job.
    """
    if rate is None:
        result = _readable(next(results))
        _write_overlay(job, result)
        with written_aside(job.mask) as aside:
            aside.write_bytes(result.mask)
            yield _rows(result, job.mask, options)
        return
    rows: list[Row] = []

    def pictures(folder: Path) -> Iterator[NDArray[np.uint8]]:
        for result in map(_readable, results):
            name = f"{result.frame['frame']:05}.png"
            (folder / name).write_bytes(result.mask)
            rows.extend(_rows(result, job.frames / name, options))
            if result.picture is not None:
                yield result.picture

    with written_aside(job.frames) as folder:
        folder.mkdir()
        if options.overlay:
            clips.write(job.video, pictures(folder), rate)
        else:
            for _ in pictures(folder):
                pass
        yield rows


def _write_overlay(job: Job, result: Result) -> None:
    if result.picture is not None:
        with written_aside(job.overlay) as aside:
            aside.write_bytes(encode(result.picture, ".png"))


def _readable(result: Result | UserError) -> Result:
    if isinstance(result, UserError):
        raise UnreadableError(str(result))
    return result


class UnreadableError(UserError):
    """A scan that cannot be read, which does not stop the others."""


def _rows(result: Result, mask: Path, options: Options) -> list[Row]:
    where = {**result.frame, "mask": mask.relative_to(options.output).as_posix()}
    return table.rows_of(where, result.answer, options.network.sha256)


def by_frame(jobs: Sequence[Job], options: Options, any_modality: bool) -> Generator[list[Row] | UnreadableError]:
    """Segment jobs one after the other, the frames of each on all cores; what becomes of each, which can be noted
    before its masks are put in place.
    """
    total = len(jobs) if all(job.scan.suffix.lower() in PICTURES for job in jobs) else None

    def segment_one(task: Task) -> tuple[Task, Result | UserError]:
        return task, segment(task, options)

    results = map_on_all_cores(segment_one, read(jobs, any_modality), "segment", total)
    return _write_each(results, options)


def _write_each(
    results: Iterable[tuple[Task, Result | UserError]], options: Options
) -> Generator[list[Row] | UnreadableError]:
    for job, of_job in itertools.groupby(results, key=lambda result: result[0].job):
        first = next(of_job)
        every = (result for _, result in itertools.chain([first], of_job))
        try:
            with written(job, every, first[0].rate, options) as rows:
                yield rows
        except UnreadableError as error:
            yield error


def by_scan(jobs: Sequence[Job], options: Options, any_modality: bool) -> Generator[list[Row] | UnreadableError]:
    """The same, each job as a whole on one of the machines of a cluster.

    It is written to a folder of its own and put in place here, so that what two machines did at once, one of them given
    up for dead, and what one does that nobody waits for any more, ends up nowhere.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=options.output, prefix=".partial-", ignore_cleanup_errors=True) as aside,
        tempfile.NamedTemporaryFile(dir=aside) as wanted,
    ):
        segment_one = partial(_segment_aside, Path(aside), Path(wanted.name), options, any_modality)
        for job, (folder, outcome) in zip(jobs, map_on_all_machines(segment_one, jobs, "segment"), strict=True):
            yield outcome
            # The masks last, since a job with a mask counts as done.
            for made, target in zip(job.below(options.output, folder).outputs[::-1], job.outputs[::-1], strict=True):
                if made.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.replace(target)


def _segment_aside(
    aside: Path, wanted: Path, options: Options, any_modality: bool, job: Job
) -> tuple[Path, list[Row] | UnreadableError]:
    folder = Path(tempfile.mkdtemp(dir=aside))
    there = replace(options, output=folder)
    results = ((task, segment(task, there)) for task in read([job.below(options.output, folder)], any_modality))
    try:
        [outcome] = _write_each(results, there)
        return folder, outcome
    finally:
        # The command ended meanwhile and removed what it knew of; writing made the folder anew.
        if not wanted.exists():
            shutil.rmtree(aside, ignore_errors=True)


def follow(outcomes: Iterable[list[Row] | UnreadableError], done: Done, output: Path) -> None:
    """Note what becomes of each job in `done` and, lest the command be killed, in the journal of the output folder."""
    for outcome in outcomes:
        if isinstance(outcome, UnreadableError):
            done.unreadable.append(str(outcome))
        else:
            note(outcome, output)
            done.rows += outcome
            done.scans += 1


def prepare(arguments: argparse.Namespace, jobs: Sequence[Job]) -> Options:
    """Open the network, and say which one it is."""
    path, why = (arguments.model, f"{arguments.model}: as --model says.") if arguments.model else choose()
    many = len(jobs) > 1 or any(job.scan.suffix.lower() not in PICTURES for job in jobs)
    network = open_network(path, arguments.device, many)
    print(why)
    fitted = network.card.fitted
    if arguments.threshold:
        fitted = replace(fitted, steps=Steps(threshold=arguments.threshold))
    return Options(network, fitted, arguments.overlay, arguments.output)


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says."""
    jobs = plan_jobs(arguments.inputs, arguments.output)
    waiting = [job for job in jobs if arguments.overwrite or not job.is_done]
    done = Done()
    if has_notes(arguments.output):
        write_findings(arguments.output)
    if waiting:
        options = prepare(arguments, waiting)
        for job in waiting:
            clear(job)
        segment_all = by_scan if cluster_address() else by_frame
        try:
            with contextlib.closing(segment_all(waiting, options, arguments.any_modality)) as outcomes:
                follow(outcomes, done, arguments.output)
        except KeyboardInterrupt as error:
            number = sum(job.is_done for job in waiting)
            raise UserError(
                f"stopped; {number} of {len(waiting)} scans are done. The same command goes on with the others."
            ) from error
        finally:
            if done.rows:
                write_findings(arguments.output)
    if arguments.coco:
        write_coco(write_findings(arguments.output), arguments.output)
    if arguments.dicom_seg:
        write_dicom_seg(done.rows, arguments.output)
    tell(jobs, waiting, done, arguments.output)


def tell(jobs: Sequence[Job], waiting: Sequence[Job], done: Done, output: Path) -> None:
    """Say what was done; UserError where scans could not be read."""
    frames = {(row["image"], row["frame"]): row for row in done.rows}
    if len(frames) <= _TOLD:
        for (image, _), row in frames.items():
            shown = f"{row['class']} ({row['p_' + row['class']]:.0%}), " if row["class"] else ""
            print(f"{image}: {shown}expected Dice of the mask {row['expected_dice']:.2f}")
    lesions = sum(row["lesion"] > 0 for row in done.rows)
    print(f"masks of {done.scans} scan(s) written to {output}, lesions: {lesions}; more in {output}/findings.csv")
    if len(waiting) < len(jobs):
        print(f"masks that were there and stay as they are: {len(jobs) - len(waiting)}; --overwrite makes them anew")
    if done.unreadable:
        told = "\n".join(done.unreadable)
        raise UserError(
            f"{len(done.unreadable)} of {len(jobs)} images could not be read:\n{told}\n"
            "Mend them and run the command again without --overwrite: it does those without a mask alone."
        )
