"""Read a table of anyone's own images, cases.csv, with the columns

- `image`: its path, relative to the table: a picture (PNG, JPEG, BMP, TIFF, GIF, WebP) or a DICOM file of one frame;
- `masks`: none, or one or several paths with `;` between, pictures or DICOM Segmentations; or one COCO file that holds
  the outlines of the image;
- `class`: benign, malignant, normal, or lesion where its type is not recorded;
- `id` (optional): a name that can be a file's; by default that of the image file;
- `source`, `device`, `birads` (optional): hospital or data set, scanner and BI-RADS category;
- `patient` (optional): what the images of one person have in common, empty where it is not recorded;
- `fold` (optional): the fold that tests it in a published split, a whole number, for `split.by: table`;
- `mm_per_pixel` (optional): the size of a pixel; where it is empty, what a DICOM file records of square pixels.

Masks have the size of the whole image as viewers show it. Of a DICOM file that records where it shows tissue, this
region is taken over (scans/dicom.py), and so much of the masks: what `segment` gives the network of such a file.

Paths are compared as cases/names.py has it. Files and folders may be links, as DVC, git-annex and DataLad make them.

Every row is checked before anything is kept, and one message lists all faults, by line number.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import cv2
import numpy as np

from breast_ultrasound.cases.classes import LABELS
from breast_ultrasound.cases.raw import Case, write_pictures
from breast_ultrasound.pipeline.arrays import Mask
from breast_ultrasound.pipeline.engine import map_on_all_machines
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import open_scan
from breast_ultrasound.scans.scan import Frame
from breast_ultrasound.sources.case_rows import Problem, Row, duplicates, faults, read_rows
from breast_ultrasound.sources.coco import ImageOutlines, Outlines, read_coco
from breast_ultrasound.sources.mask_files import read_true_mask


def copy_table(table: Path, folder: Path) -> list[Case]:
    """Write the images of a table to `folder` as grey PNG files of 8 bits, and masks as black and white ones.

    Returns the cases in the order of the rows. UserError lists every fault of the table.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = cv2.imwrite(str(root / "scan.png"), np.eye(60, dtype=np.uint8))
    >>> _ = (root / "cases.csv").write_text("image,masks,class,patient\\nscan.png,,normal,P1\\n")
    >>> (root / "copy").mkdir()
    >>> [case] = copy_table(root / "cases.csv", root / "copy")
    >>> case.id, case.cls, case.patient, case.image.name, len(case.masks)
    ('scan', 'normal', 'P1', 'scan.png', 1)
    """
    rows = read_rows(table)
    for cls in {row.cls for row in rows} & set(LABELS):
        (folder / cls).mkdir(exist_ok=True)
    outlines, problems = _read_outlines(rows)
    problems += duplicates(rows)
    readable = [row for row in rows if all(path in outlines for path in row.masks if _is_coco(path))]
    cases = []
    inputs = ((row, _outlines_of(row, outlines)) for row in readable)
    results = map_on_all_machines(partial(_take, folder), inputs, "check", len(readable))
    for row, result in zip(readable, results, strict=True):
        if isinstance(result, Case):
            cases.append(result)
        else:
            problems += [(row.line, problem) for problem in result]
    if problems:
        lines = "\n".join(f"line {line}: {problem}" for line, problem in sorted(problems))
        raise UserError(f"{table.name}: nothing was taken over, faults: {len(problems)}\n{lines}")
    return cases


def _read_outlines(rows: Iterable[Row]) -> tuple[dict[PurePosixPath, Outlines], list[Problem]]:
    """Read the COCO files that rows name, by path; return also the faults of the others, by the line of the first."""
    first = {path: row for row in reversed(list(rows)) for path in row.masks if _is_coco(path)}
    read, problems = {}, []
    for path, row in first.items():
        try:
            _check_inside(path)
            read[path] = read_coco(row.root / path, row.root)
        except UserError as error:
            problems.append((row.line, f"{path}: {error}"))
    return read, problems


def _outlines_of(row: Row, outlines: dict[PurePosixPath, Outlines]) -> dict[PurePosixPath, ImageOutlines]:
    """Return what the COCO files of a row hold of its image."""
    return {path: outlines[path].of(row.image) for path in row.masks if _is_coco(path)}


def _take(folder: Path, named: tuple[Row, dict[PurePosixPath, ImageOutlines]]) -> Case | list[str]:
    """Write the pictures of a row and return its case, or return all its faults."""
    row, outlines = named
    wrong, unread = list(faults(row)), []
    if not row.image.name:
        return wrong
    frame, masks = None, []
    with _listed(unread, row, row.image):
        _check_inside(row.image)
        frame = _only_frame(row.root / row.image)
    for path in row.masks:
        with _listed(unread, row, path):
            _check_inside(path)
            if not _is_coco(path):
                masks.append(read_true_mask(row.root / path))
            elif frame:
                masks += outlines[path].draw(*frame.whole.shape)
    wrong += unread
    if frame and not unread:
        wrong += _misfits(row, frame, masks)
        if not wrong:
            kept = [frame.cut(mask) for mask in masks] or [np.zeros(frame.image.shape, bool)]
            case = row.case(folder, len(kept), frame.mm_per_square_pixel)
            write_pictures(case, frame.image, kept)
            return case
    return wrong


@contextlib.contextmanager
def _listed(faults_of_row: list[str], row: Row, path: PurePosixPath) -> Iterator[None]:
    """Add the error with which a file is read to the faults of its row."""
    try:
        yield
    except UserError as error:
        faults_of_row.append(f"{path}: {error}".replace(f"{path}: {row.root / path}: ", f"{path}: "))


def _only_frame(path: Path) -> Frame:
    # The table vouches for the kind of image, whatever modality a DICOM file records.
    with open_scan(path, any_modality=True) as scan:
        if scan.moves:
            raise UserError(
                f"{path}: holds {scan.length} frames, a row is one image. Save the frame that it means as a file."
            )
        [frame] = scan.frames
    return frame


def _misfits(row: Row, frame: Frame, masks: Sequence[Mask]) -> Iterator[str]:
    """Yield what is wrong with the pictures of a row."""
    rows, columns = frame.whole.shape
    sizes = {mask.shape for mask in masks} - {frame.whole.shape}
    for height, width in sorted(sizes):
        yield f"a mask is of {width}×{height} pixels, its image of {columns}×{rows}."
    if not sizes and any(_loses_a_part(frame, mask) for mask in masks):
        yield "a mask shows a lesion outside the region that the file calls tissue; save the image as a picture."
    if row.cls == "normal" and any(mask.any() for mask in masks):
        yield "is filed as normal, but its mask shows a lesion."
    if row.cls != "normal" and row.masks and not masks:
        yield f"is filed as {row.cls}, but {row.masks[0]} outlines nothing in it."


def _loses_a_part(frame: Frame, mask: Mask) -> bool:
    """Return whether a connected part of a mask of the whole frame lies outside of its region altogether."""
    parts = np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1])
    return not np.isin(parts[mask], frame.cut(parts)).all()


def _check_inside(path: PurePosixPath) -> None:
    """Refuse a path that leads out of the folder of the table; a link in this folder may lead anywhere."""
    if path.is_absolute() or PureWindowsPath(path).anchor or ".." in path.parts:
        raise UserError("leads outside the folder of the table.")


def _is_coco(path: PurePosixPath) -> bool:
    return path.suffix.lower() == ".json"
