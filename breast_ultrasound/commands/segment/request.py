"""What the command line of `segment` asks for, apart from its parser and from all that loads slowly."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """The scans to segment, the network to segment them with and the files to write.

    `model` and `threshold` are None unless they are given; `command.py` explains each field as an option.
    """

    inputs: list[Path]
    output: Path
    overlay: bool
    coco: bool
    dicom_seg: bool
    overwrite: bool
    model: Path | None
    device: str
    threshold: float | None
    any_modality: bool
