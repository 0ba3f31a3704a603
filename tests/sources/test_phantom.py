from collections import Counter

import cv2
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from breast_ultrasound.sources import phantom
from breast_ultrasound.sources.phantom import Plan


def test_the_plan_has_the_class_shares_of_busi_and_every_kind_of_repeat() -> None:
    plans = phantom.plan(780, seed=1)
    counts = Counter(planned.cls for planned in plans)
    assert (counts["benign"], counts["malignant"], counts["normal"]) == (437, 210, 133)
    assert {planned.repeat for planned in plans} == {"", "exact", "crop", "rescale", "gain", "mirror", "marks"}
    assert 0.1 < sum(bool(planned.repeat) for planned in plans) / 780 < 0.2
    assert 0.3 < sum(planned.marks for planned in plans) / 780 < 0.5
    assert any(planned.cls != planned.frame_cls for planned in plans)
    assert len({planned.id for planned in plans}) == 780


def test_the_frames_of_a_sweep_are_of_one_class_and_at_least_three() -> None:
    for images in (20, 120, 780):
        plans = phantom.plan(images, seed=1)
        swept = {planned.sweep for planned in plans if planned.step}
        for sweep in swept:
            frames = {(planned.frame, planned.step, planned.frame_cls) for planned in plans if planned.sweep == sweep}
            assert 3 <= len(frames) <= 9
            assert {step for _, step, _ in frames} == set(range(len(frames)))
            assert len({cls for _, _, cls in frames}) == 1
        assert all(planned.frame == planned.sweep for planned in plans if planned.sweep not in swept)
        assert len(swept) >= images // 100
        assert sum(planned.sweep in swept for planned in plans) <= 0.2 * images


def test_neighbours_in_a_sweep_share_tissue_and_lesion_but_no_speckle() -> None:
    frames = [
        phantom.draw_frame("benign", phantom.Slice((3,), 0.015 * step, step), slip=0.01 * step) for step in (0, 1, 8)
    ]
    smooth = [cv2.GaussianBlur(frame.image.astype(np.float32), (0, 0), 6) for frame in frames]
    speckle = [frame.image - blurred for frame, blurred in zip(frames, smooth, strict=True)]

    def correlation(one: np.ndarray, two: np.ndarray) -> float:
        return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])

    assert correlation(smooth[0], smooth[1]) > 0.9
    assert correlation(smooth[0], smooth[2]) < correlation(smooth[0], smooth[1]) - 0.05
    assert correlation(speckle[0], speckle[1]) < 0.5
    first, second, last = (frame.masks[0] for frame in frames)
    assert (first & second).any() and (first != second).any()
    assert (first ^ second).sum() < (first ^ last).sum()


def test_a_section_at_distance_zero_is_the_first_one() -> None:
    same, near, far = (phantom.Slice((1,), distance).field((50, 50), 0.1) for distance in (0.0, 0.01, 0.15))
    assert np.array_equal(same, phantom.Slice((1,), frame=7).field((50, 50), 0.1))
    assert np.corrcoef(same.ravel(), near.ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(same.ravel(), far.ravel())[0, 1]) < 0.2
    assert far.std() == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_pixels_whatever_was_drawn_before() -> None:
    plans = phantom.plan(20, seed=3)
    alone = phantom.draw(plans[7], seed=3)
    for planned in plans[:7]:
        phantom.draw(planned, seed=3)
    assert np.array_equal(phantom.draw(plans[7], seed=3).image, alone.image)
    assert phantom.plan(20, seed=3) == plans
    assert phantom.plan(20, seed=4) != plans


@pytest.mark.parametrize("cls", ["benign", "malignant"])
def test_a_lesion_is_darker_than_what_surrounds_it(cls: str) -> None:
    darker = []
    for seed in range(20):
        picture = phantom.draw_frame(cls, phantom.Slice((seed,)))
        mask = picture.masks[0]
        ring = binary_dilation(mask, iterations=12) & ~binary_dilation(
            np.logical_or.reduce(picture.masks), iterations=3
        )
        darker.append(picture.image[mask].mean() < picture.image[ring].mean())
    assert sum(darker) >= 16


def test_malignant_outlines_are_rougher_than_benign_ones() -> None:
    def roughness(cls: str) -> float:
        masks = [phantom.draw_frame(cls, phantom.Slice((seed,))).masks[0] for seed in range(20)]
        edges = [(binary_dilation(mask) & ~mask).sum() / np.sqrt(mask.sum()) for mask in masks]
        return float(np.median(edges))

    assert roughness("malignant") > 1.1 * roughness("benign")


def test_a_normal_frame_has_one_empty_mask() -> None:
    picture = phantom.draw_frame("normal", phantom.Slice((0,)))
    assert len(picture.masks) == 1
    assert not picture.masks[0].any()


@pytest.mark.parametrize("kind", ["exact", "crop", "rescale", "gain", "mirror", "marks"])
def test_image_and_masks_of_a_repeat_stay_together(kind: phantom.RepeatKind) -> None:
    frame = phantom.draw_frame("benign", phantom.Slice((5,)))
    again = phantom.repeat(frame, kind, np.random.default_rng(6))
    for mask in again.masks:
        assert mask.shape == again.image.shape
        assert mask.any()
        assert again.image[mask].mean() < again.image[~mask].mean()


def test_an_exact_repeat_has_the_pixels_of_its_frame_marks_included() -> None:
    first = Plan("benign", 1, frame=0, frame_cls="benign", repeat="", marks=True, sweep=0)
    again = Plan("malignant", 9, frame=0, frame_cls="benign", repeat="exact", marks=True, sweep=0)
    assert np.array_equal(phantom.draw(first, seed=0).image, phantom.draw(again, seed=0).image)


def test_the_default_scanner_changes_nothing_and_every_setting_does() -> None:
    frame = phantom.draw_frame("benign", phantom.Slice((4,)))
    same = phantom.draw_frame("benign", phantom.Slice((4,)), phantom.LINEAR)
    assert np.array_equal(frame.image, same.image)
    for setting in ({"gain": -6.0}, {"noise": 0.1}, {"depth": 2.0}, {"sector": 60.0}):
        other = phantom.draw_frame("benign", phantom.Slice((4,)), phantom.LINEAR.model_copy(update=setting))
        assert other.image.shape == frame.image.shape
        assert not np.array_equal(other.image, frame.image)
        assert np.array_equal(other.masks[0], frame.masks[0]) == ("sector" not in setting)


@pytest.mark.parametrize("sector", [10.0, 60.0, 120.0])
def test_a_sector_keeps_the_lesion_and_is_black_outside(sector: float) -> None:
    scanner = phantom.LINEAR.model_copy(update={"sector": sector})
    for seed in range(3):
        picture = phantom.draw_frame("malignant", phantom.Slice((seed,)), scanner)
        assert picture.masks[0].any()
        assert not picture.image[0, 0] and not picture.image[0, -1]


def test_marks_change_few_pixels_and_no_mask() -> None:
    frame = phantom.draw_frame("malignant", phantom.Slice((2,)))
    marked = phantom.draw_marks(frame, np.random.default_rng(2))
    assert 0 < (marked != frame.image).mean() < 0.02
