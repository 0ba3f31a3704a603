"""A submission: the files of a system, of which image each is, and what they say of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from breast_ultrasound.answers.postprocess import Steps, binary_mask
from breast_ultrasound.cases.images import merge_masks
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.folders import walk
from breast_ultrasound.sources.coco import ImageOutlines, Outlines, read_coco
from breast_ultrasound.submissions.class_table import parse_class_row, read_class_rows
from breast_ultrasound.submissions.images_to_score import ImagesToScore
from breast_ultrasound.submissions.matching import match
from breast_ultrasound.submissions.reading import is_prediction, read_predicted_mask, read_probability

# Reads what a system says of an image of a height and a width: its mask, its probability, or those of its classes.
Reader: TypeAlias = Callable[[int, int], Any]


@dataclass(frozen=True)
class Files:
    """How the file of each image, or its part of a file, is read, by the id of the image.

    `faults` say what is wrong with the files as far as their names tell, `notes` which of them are left out.
    """

    readers: dict[str, Reader]
    faults: list[str]
    notes: list[str]


class Predicted(NamedTuple):
    """What a system says of an image.

    A mask bool [height, width], a probability uint8 of its shape, and the probabilities of CLASSES, float64 [3]; the
    latter two may be None.
    """

    mask: Mask
    probability: Grey | None
    classes: NDArray[np.float64] | None


@dataclass(frozen=True)
class Submission:
    """The masks, the probabilities and the class probabilities of a system; one of the first two is there."""

    masks: Files | None
    probabilities: Files | None
    classes: Files | None

    @property
    def given(self) -> list[Files]:
        """Return what there is of them."""
        return [files for files in (self.masks, self.probabilities, self.classes) if files]

    @property
    def faults(self) -> Iterator[str]:
        """Return what is wrong with the names of the files."""
        return chain.from_iterable(files.faults for files in self.given)

    @property
    def notes(self) -> Iterator[str]:
        """Return which files are left out."""
        return chain.from_iterable(files.notes for files in self.given)

    def holds(self, case_id: str) -> bool:
        """Return whether an image has every file that it needs."""
        return all(case_id in files.readers for files in self.given)

    def predict(self, case_id: str, height: int, width: int) -> Predicted:
        """Read what belongs to an image; without masks, the mask is the probability cut at one half.

        UserError names, on a line each, the files that cannot be read, are of another size, or can be read in two ways.
        """
        faults: list[str] = []

        def read(files: Files | None) -> Any:
            try:
                return files.readers[case_id](height, width) if files else None
            except UserError as error:
                faults.append(str(error))

        mask, probability, classes = map(read, (self.masks, self.probabilities, self.classes))
        if faults:
            raise UserError("\n".join(faults))
        return Predicted(binary_mask(probability, Steps()) if mask is None else mask, probability, classes)


def open_submission(
    images: ImagesToScore, masks: Path | None, probabilities: Path | None = None, classes: Path | None = None
) -> Submission:
    """List the files of a system: a folder or a COCO file of masks, a folder of probabilities, or both; and a table of
    class probabilities, if any.

    UserError where one of them holds nothing of its kind.
    """
    return Submission(
        _open_masks(masks, images) if masks else None,
        _open_folder(probabilities, read_probability, images) if probabilities else None,
        _open_classes(classes, images) if classes else None,
    )


def _open_masks(path: Path, images: ImagesToScore) -> Files:
    if path.suffix.lower() != ".json" or path.is_dir():
        return _open_folder(path, read_predicted_mask, images)
    outlines = _read_coco(path)
    return _match(path, outlines.images, lambda image: partial(_draw, path, outlines.of(image)), images)


def _open_folder(folder: Path, read: Callable[[Path, int, int], Any], images: ImagesToScore) -> Files:
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder. Name one of masks or probabilities, or a COCO file (.json) of masks.")
    paths = [PurePosixPath(path.relative_to(folder)) for path in walk(folder)]
    named = [path for path in paths if is_prediction(path)]
    files = _match(folder, named, lambda path: partial(read, folder / path), images)
    others = ", ".join(str(path) for path in paths if not is_prediction(path))
    if others:
        files.notes.append(f"{folder}: not read, since they are of other kinds: {others}")
    return files


def _open_classes(table: Path, images: ImagesToScore) -> Files:
    rows = read_class_rows(table)
    row_of = {PurePosixPath(row.name): row for row in rows}
    named = [PurePosixPath(row.name) for row in rows]
    return _match(table, named, lambda name: lambda *_: parse_class_row(table, row_of[name]), images)


def _match(
    where: Path, named: Sequence[PurePosixPath], reader_of: Callable[[PurePosixPath], Reader], images: ImagesToScore
) -> Files:
    """Match files, or the images that a file names, to the images that are scored."""
    if not named:
        raise UserError(f"{where}: holds nothing to score, where a file for each image is expected.")
    matching, ids = match(named, [*images.cases, *images.others]), [case.id for case in images.cases]
    file_of = {case_id: matching.file_of[case_id] for case_id in ids if case_id in matching.file_of}
    faults = [f"{where}: {fault}" for fault in matching.faults()]
    lacking = [case_id for case_id in ids if case_id not in file_of and case_id not in matching.repeated]
    if lacking:
        faults.append(f"{where}: lacks {len(lacking)} of {len(ids)} images: {', '.join(lacking)}")
    others = len(matching.file_of) - len(file_of)
    notes = [f"{where}: not scored, of images that no scored fold tests: {others}"] if others else []
    return Files({case_id: reader_of(file) for case_id, file in file_of.items()}, faults, notes)


def _read_coco(path: Path) -> Outlines:
    try:
        return read_coco(path, path.parent)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _draw(path: Path, outlines: ImageOutlines, height: int, width: int) -> Mask:
    """Draw the lesions of an image, all as one mask, which is empty where there are none."""
    try:
        masks = outlines.draw(height, width)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return merge_masks([np.zeros((height, width), bool), *masks])
