"""Which files of a folder are images, and which are the masks of which image, by the layouts that people use."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from breast_ultrasound.cases.names import normalise

# Words of the names of folders, in any case and order: "Masks", "labelsTr", "trainval-mask", "SegmentationClass".
_MASKS = {"mask", "masks", "label", "labels", "gt", "ground", "truth", "seg", "segmentation", "segmentations"}
_IMAGES = {"image", "images", "img", "imgs", "original", "originals"}
_BESIDE = {"class", "jpeg", "png", "train", "training", "val", "valid", "validation", "trainval", "test", "tr", "ts"}
# Of VOC and CVAT: the masks of the folder beside it once more, a colour for each lesion.
_REPEATED = "segmentationobject"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

# "x_mask", "x_mask_1", "x-seg", "x_tumor" of the image x.
_SUFFIX = re.compile(r"(?P<stem>.+)[ _-](mask|seg|segmentation|label|gt|tumou?r|lesion)([ _-]?\d+)?", re.IGNORECASE)
# BrEaST: what else than the tumour was outlined.
_OTHER = re.compile(r"(?P<stem>.+)_other\d*", re.IGNORECASE)
# "mask_x" of the image "x", "bus_x" or "image_x", in a folder of masks.
_MASK_PREFIX = re.compile(r"(mask|seg|label|gt)[ _-](?P<stem>.+)", re.IGNORECASE)
_IMAGE_PREFIX = re.compile(r"(bus|us|image|img)[ _-](?P<stem>.+)", re.IGNORECASE)
# nnU-Net: the number of the channel.
_CHANNEL = re.compile(r"(?P<stem>.+)_0000")
# Label Studio: masks named by tasks, not by images.
_TASK = re.compile(r"task-\d+-annotation-\d+-.*", re.IGNORECASE)

# The folders that images and masks have in common, and the name of the image.
_Key = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Pairing:
    """Images, the masks of those that have some, masks without an image, and files that are neither; all paths are
    relative to one folder.
    """

    images: list[PurePosixPath] = field(default_factory=list)
    masks: dict[PurePosixPath, list[PurePosixPath]] = field(default_factory=dict)
    unpaired: list[PurePosixPath] = field(default_factory=list)
    left_out: list[PurePosixPath] = field(default_factory=list)


def pair(files: Sequence[PurePosixPath]) -> Pairing:
    """Separate images from masks by their folders and names, and pair them.

    A mask lies in a folder of masks and has the name of its image, with or without `mask`, or it lies beside its image
    and has its name with `_mask`.

    >>> names = "Images/bus_1.png", "Masks/mask_1.png", "x.png", "x_mask.png"
    >>> pairing = pair([PurePosixPath(name) for name in names])
    >>> {str(image): [str(mask) for mask in masks] for image, masks in pairing.masks.items()}
    {'Images/bus_1.png': ['Masks/mask_1.png'], 'x.png': ['x_mask.png']}
    """
    image_at = _images_by_key(file for file in files if not _is_in_mask_folder(file) and not _TASK.match(file.stem))
    images, masks, unpaired, left_out = [], defaultdict(list), [], []
    for file in files:
        image = _image_of(file, image_at)
        folders, stem = _key(file)
        other = _OTHER.fullmatch(stem)
        if _REPEATED in map(str.lower, file.parent.parts) or (other and (folders, other["stem"]) in image_at):
            left_out.append(file)
        elif image:
            masks[image].append(file)
        elif _is_in_mask_folder(file) or _TASK.match(file.stem):
            unpaired.append(file)
        else:
            images.append(file)
    return Pairing(images, dict(masks), unpaired, left_out)


def _images_by_key(files: Iterator[PurePosixPath]) -> dict[_Key, PurePosixPath]:
    """Return images by all the names that their masks may give them; a name that two have is that of none."""
    exact = [(_key(file), file) for file in files]
    short = [
        ((folders, match["stem"]), file)
        for (folders, stem), file in exact
        for pattern in (_CHANNEL, _IMAGE_PREFIX)
        if (match := pattern.fullmatch(stem))
    ]
    counts = Counter(key for key, _ in short)
    return {key: file for key, file in short if counts[key] == 1} | dict(exact)


def _image_of(file: PurePosixPath, image_at: dict[_Key, PurePosixPath]) -> PurePosixPath | None:
    """Return the image of which a file is a mask by its name; None where it is none."""
    folders, stem = _key(file)
    stems = [match["stem"] for match in [_SUFFIX.fullmatch(stem)] if match]
    if _is_in_mask_folder(file):
        stems = [stem, *stems, *(match["stem"] for match in [_MASK_PREFIX.fullmatch(stem)] if match)]
    images = (image_at.get((folders, each)) for each in stems)
    return next((image for image in images if image and image != file), None)


def _key(file: PurePosixPath) -> _Key:
    normal = normalise(file)
    return _folders(normal), normal.stem


def _folders(file: PurePosixPath) -> tuple[str, ...]:
    """Return the folders of a file but for the words that separate images from masks."""
    return tuple(rest for part in file.parent.parts if (rest := _without_kind(part)))


def _without_kind(folder: str) -> str:
    words = _words(folder)
    if not words & (_MASKS | _IMAGES) or not words <= _MASKS | _IMAGES | _BESIDE:
        return folder
    # That images are JPEG or masks are of classes says nothing of which image a mask is.
    return " ".join(sorted(words - _MASKS - _IMAGES - {"class", "jpeg", "png"}))


def _is_in_mask_folder(file: PurePosixPath) -> bool:
    return any(
        ((words := _words(part)) & _MASKS and words <= _MASKS | _BESIDE) or part.lower() == _REPEATED
        for part in file.parent.parts
    )


def _words(folder: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(folder)}
