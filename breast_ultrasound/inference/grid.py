"""From a frame to the grid of a network, and back."""

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.scans.scan import Frame


def to_grid(frame: Frame, size: int) -> Grey:
    """Return the region of a frame that shows tissue on the grid of a network: uint8 [size, size]."""
    return _letterbox(frame, size).to_grid(frame.image)


def to_native(frame: Frame, probability: Grey) -> Grey:
    """Return a probability uint8 [size, size] on the native grid of a frame's region: uint8 [height, width]."""
    return _letterbox(frame, len(probability)).to_native(probability)


def _letterbox(frame: Frame, size: int) -> Letterbox:
    return Letterbox.fit(frame.region.height, frame.region.width, size)
