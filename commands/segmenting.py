"""What the command `segment` does: the jobs that it plans, how a scan is read, segmented and written."""

import argparse
import contextlib
import itertools
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.cases.images import read_mask
from stages.cases.letterbox import Letterbox
from stages.findings import table
from stages.findings.lesions import find_lesions
from stages.findings.table import Answer, Row
from stages.pages.overlay import PREDICTION, encode, overlay
from stages.pipeline.engine import cluster_address, map_on_all_cores, map_on_all_machines
from stages.pipeline.errors import UserError
from stages.pipeline.files import written_aside
from stages.pipeline.litter import is_litter
from stages.runtime.choice import choose
from stages.runtime.network import Network, open_network
from stages.scans import clips
from stages.scans.reading import PICTURES, is_dicom, is_scan, opened
from stages.scans.scan import Frame
from stages.scoring.answers import Fitted
from stages.scoring.postprocess import Steps

# What was found, until it is in the tables: so a command that is killed loses nothing that it has done.
_JOURNAL = ".findings.jsonl"

# What the folder of the masks of a scan of several frames ends in.
_FRAMES = "_frames"

# What a DICOM Segmentation ends in.
_SEG = "_seg.dcm"

# So many frames are told of one by one; of more, the tables tell.
_TOLD = 10

# Of a clip whose file doesn't tell.
_FRAMES_PER_SECOND = 25

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
        return self.mask.with_name(f"{self.mask.stem}{_FRAMES}")

    @property
    def video(self) -> Path:
        """Where the overlay of a scan of several frames goes."""
        return self.mask.with_name(f"{self.mask.stem}_overlay.mp4")

    @property
    def segmentation(self) -> Path:
        """Where the DICOM Segmentation goes."""
        return self.mask.with_name(f"{self.mask.stem}{_SEG}")

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


def note(outcomes: Iterable[list[Row] | UnreadableError], done: Done, output: Path) -> None:
    """Note what becomes of each job in `done` and, lest the command be killed, in the journal of the output folder."""
    for outcome in outcomes:
        if isinstance(outcome, UnreadableError):
            done.unreadable.append(str(outcome))
        else:
            table.append(outcome, output / _JOURNAL)
            done.rows += outcome
            done.scans += 1


def write_findings(output: Path) -> list[Row]:
    """Write the tables of all masks in the output folder: those of the journal, which goes, and of earlier commands."""
    path, journal = output / "findings.json", output / _JOURNAL
    try:
        new = table.read_journal(journal)
        noted = {row["mask"] for row in new}
        earlier = [row for row in table.read_json(path) if row["mask"] not in noted]
        every = [row for row in earlier + new if (output / row["mask"]).exists()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no findings. Remove it, and run the command again with --overwrite.") from error
    every.sort(key=lambda row: (row["mask"], row["lesion"]))
    for name, write_table in (("findings.csv", table.write_csv), ("findings.json", table.write_json)):
        with written_aside(output / name) as aside:
            write_table(every, aside)
    journal.unlink(missing_ok=True)
    return every


def write_coco(rows: list[Row], output: Path) -> None:
    """Write the masks of findings as COCO JSON."""
    from stages.findings.coco import coco  # noqa: PLC0415  few ask for it

    def named(row: Row) -> str:
        mask = Path(row["mask"])
        of_several = mask.parent.name.endswith(_FRAMES)
        return (mask if of_several else mask.with_suffix(Path(row["image"]).suffix)).as_posix()

    names = {row["mask"]: named(row) for row in rows}
    with written_aside(output / "annotations.json") as aside:
        aside.write_text(json.dumps(coco((name, read_mask(output / mask)) for mask, name in names.items())) + "\n")


def write_dicom_seg(rows: list[Row], output: Path) -> None:
    """Write the masks of findings of DICOM files as DICOM Segmentations, each beside the mask."""
    from stages.scans import dicom_seg  # noqa: PLC0415  few ask for it

    for image, of_image in itertools.groupby(rows, key=lambda row: row["image"]):
        frames = {row["frame"]: row for row in of_image}
        if not is_dicom(Path(image)):
            continue
        first = next(iter(frames.values()))
        mask = output / first["mask"]
        beside = mask.parent if mask.parent.name.endswith(_FRAMES) else mask
        target = beside.with_name(f"{beside.stem.removesuffix(_FRAMES)}{_SEG}")
        spacing = (first["mm_per_row"], first["mm_per_column"]) if first["mm_per_row"] else None
        masks = {number: read_mask(output / row["mask"]) for number, row in frames.items()}
        dicom_seg.write(target, Path(image), masks, spacing, first["network"][:16])


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
    if (arguments.output / _JOURNAL).exists():
        write_findings(arguments.output)
    if waiting:
        options = prepare(arguments, waiting)
        for job in waiting:
            clear(job)
        segment_all = by_scan if cluster_address() else by_frame
        try:
            with contextlib.closing(segment_all(waiting, options, arguments.any_modality)) as outcomes:
                note(outcomes, done, arguments.output)
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
