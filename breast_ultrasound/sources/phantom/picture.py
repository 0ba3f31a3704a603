"""An image of the phantom with its masks."""

from dataclasses import dataclass

from breast_ultrasound.pipeline.arrays import Grey, Mask


@dataclass(frozen=True)
class DrawnImage:
    """A grey image uint8 [height, width] and one or more masks bool of its shape, empty where there is no lesion."""

    image: Grey
    masks: list[Mask]
