import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.answers.answer import Postprocessing
from breast_ultrasound.answers.held_out import HeldOut
from breast_ultrasound.answers.postprocess import Steps
from breast_ultrasound.scoring.scores import count, dice


def held_out(images: int = 6) -> HeldOut:
    rng = np.random.default_rng(0)
    pairs = [
        (rng.integers(0, 256, (9, 7), np.uint8), (rng.random((9, 7)) < 0.5 * (image % 2)).astype(np.uint8))
        for image in range(images)
    ]
    lesions = np.array([truth.any() for _, truth in pairs])
    return HeldOut(pairs, lesions, np.arange(images), np.zeros(images, int), rng.normal(size=(images, 3)), 1.5)


@given(st.sampled_from([0.3, 0.5]), st.floats(0, 1))
def test_masks_are_scored_as_post_processing_makes_them(threshold: float, image_probability: float) -> None:
    network, steps = held_out(), Steps(threshold=threshold, image_probability=image_probability)
    scored = network.score(steps)
    for image, (probability, truth) in enumerate(network.images):
        answer = Postprocessing(steps, network.temperature).answer(probability, network.logits[image])
        counts = count(answer.mask, truth > 0)
        assert scored.dice[image] == dice(*(np.array(counts[name]) for name in ("tp", "fp", "fn")))
        assert scored.soft_dice[image] == answer.predicted_dice


def test_masks_are_made_once_for_all_image_level_probabilities() -> None:
    network = held_out()
    for image_probability in (0.0, 0.1, 0.5):
        network.score(Steps(image_probability=image_probability))
    # The full masks and the empty ones.
    assert len(network._scored) == 2
