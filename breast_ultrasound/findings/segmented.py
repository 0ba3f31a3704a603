"""A segmented frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breast_ultrasound.findings.lesions import Lesion
from breast_ultrasound.pipeline.arrays import Grey, Mask


@dataclass(frozen=True)
class Segmented:
    """The result of segmenting a frame; what lies outside the frame's region is not lesion.

    - `number` counts the frames of a scan from 1; `mm_per_pixel` is the distance of two rows and that of two columns,
      None where the file holds no size.
    - `mask`, bool, and `probability`, uint8 in steps of 1/255, are [height, width] of the whole frame.
    - `peak_probability`, 0 to 1, is the highest `probability`: that of the native grid, on which lesions are measured,
      not that of the network's, whose pixels are averages of several or parts of one.
    - `class_probabilities` are by class, empty for a network without a class head.
    - `image_probability` is that of the frame to hold a lesion, `predicted_dice` the Dice that the mask is estimated to
      have, both 0 to 1.
    - `feature_distance` says how far the frame lies from the images that the network is for: one in a hundred of these
      lies beyond 1. It is None where the network's file does not compute it.
    - `lesions` are the connected parts of the mask, the largest first, none of an empty mask.
    """

    number: int
    mm_per_pixel: tuple[float, float] | None
    mask: Mask
    probability: Grey
    peak_probability: float
    class_probabilities: Mapping[str, float]
    image_probability: float
    predicted_dice: float
    feature_distance: float | None
    lesions: Sequence[Lesion]
