"""The act that the project exists for: from a frame to its mask, its class and its lesions.

    frame ──compute_output──▶ output of the network ──interpret──▶ mask, probabilities and lesions of the whole frame

Both halves are pure. Whoever keeps an output can interpret it again, by another threshold for example.
"""

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.findings.lesions import find_lesions
from breast_ultrasound.findings.segmented import Segmented
from breast_ultrasound.inference.exported import ExportedNetwork
from breast_ultrasound.inference.grid import to_grid, to_native
from breast_ultrasound.inference.output import Output
from breast_ultrasound.scans.scan import Frame


def segment(frame: Frame, network: ExportedNetwork, postprocessing: Postprocessing | None = None) -> Segmented:
    """Segment a frame, by the post-processing that was fitted for the network unless another is given.

    >>> import numpy as np
    >>> from breast_ultrasound import PRETRAINED, open_network
    >>> grey = Frame.without_region(np.full((300, 400), 90, np.uint8), number=1)
    >>> segmented = segment(grey, open_network(PRETRAINED))
    >>> segmented.mask.shape, segmented.mask.any(), segmented.lesions
    ((300, 400), np.False_, [])
    """
    return interpret(frame, compute_output(frame, network), postprocessing or network.card.postprocessing)


def compute_output(frame: Frame, network: ExportedNetwork) -> Output:
    """Return the network's output for the region of a frame that shows tissue."""
    return network.predict(to_grid(frame, network.card.size))


def interpret(frame: Frame, output: Output, postprocessing: Postprocessing) -> Segmented:
    """Return the mask, the probabilities and the lesions that follow from a network's output for a frame.

    Of the frame its shape, its region and the size of its pixels are used, not its pixels.
    """
    native = to_native(frame, output.probability)
    answer = postprocessing.answer_calibrated(native, output.class_probabilities)
    mask, probability = frame.to_whole(answer.mask), frame.to_whole(native)
    return Segmented(
        number=frame.number,
        mm_per_pixel=frame.mm_per_pixel,
        mask=mask,
        probability=probability,
        peak_probability=int(native.max()) / 255,
        # Without a class head there are no probabilities to name.
        class_probabilities=dict(zip(CLASSES, map(float, output.class_probabilities), strict=False)),
        image_probability=answer.image_probability,
        predicted_dice=answer.predicted_dice,
        feature_distance=output.feature_distance,
        lesions=find_lesions(mask, probability, frame.mm_per_pixel),
    )
