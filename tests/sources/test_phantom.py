from collections import Counter

import cv2
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from breast_ultrasound.sources.phantom.drawing import draw, draw_frame
from breast_ultrasound.sources.phantom.marks import draw_marks
from breast_ultrasound.sources.phantom.near_duplicates import KINDS, Kind, export_again
from breast_ultrasound.sources.phantom.plan import Plan, plan_images
from breast_ultrasound.sources.phantom.scanner import LINEAR
from breast_ultrasound.sources.phantom.volume import Slice


def test_the_plan_has_the_class_shares_of_busi_and_every_kind_of_near_duplicate() -> None:
    plans = plan_images(780, seed=1)
    counts = Counter(plan.cls for plan in plans)
    assert (counts["benign"], counts["malignant"], counts["normal"]) == (437, 210, 133)
    assert {plan.near_duplicate for plan in plans} == {"", *KINDS}
    assert 0.1 < sum(bool(plan.near_duplicate) for plan in plans) / 780 < 0.2
    assert 0.3 < sum(plan.marks for plan in plans) / 780 < 0.5
    assert any(plan.cls != plan.frame_cls for plan in plans)
    assert len({plan.id for plan in plans}) == 780


def test_the_frames_of_a_sweep_are_of_one_class_and_at_least_three() -> None:
    for images in (20, 120, 780):
        plans = plan_images(images, seed=1)
        swept = {plan.sweep for plan in plans if plan.step}
        for sweep in swept:
            frames = {(plan.frame, plan.step, plan.frame_cls) for plan in plans if plan.sweep == sweep}
            assert 3 <= len(frames) <= 9
            assert {step for _, step, _ in frames} == set(range(len(frames)))
            assert len({cls for _, _, cls in frames}) == 1
        assert all(plan.frame == plan.sweep for plan in plans if plan.sweep not in swept)
        assert len(swept) >= images // 100
        assert sum(plan.sweep in swept for plan in plans) <= 0.2 * images


def test_neighbours_in_a_sweep_share_tissue_and_lesion_but_no_speckle() -> None:
    frames = [draw_frame("benign", Slice((3,), 0.015 * step, step), slip=0.01 * step) for step in (0, 1, 8)]
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
    same, near, far = (Slice((1,), distance).field((50, 50), 0.1) for distance in (0.0, 0.01, 0.15))
    assert np.array_equal(same, Slice((1,), frame=7).field((50, 50), 0.1))
    assert np.corrcoef(same.ravel(), near.ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(same.ravel(), far.ravel())[0, 1]) < 0.2
    assert far.std() == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_pixels_whatever_was_drawn_before() -> None:
    plans = plan_images(20, seed=3)
    alone = draw(plans[7], seed=3)
    for plan in plans[:7]:
        draw(plan, seed=3)
    assert np.array_equal(draw(plans[7], seed=3).image, alone.image)
    assert plan_images(20, seed=3) == plans
    assert plan_images(20, seed=4) != plans


@pytest.mark.parametrize("cls", ["benign", "malignant"])
def test_a_lesion_is_darker_than_what_surrounds_it(cls: str) -> None:
    darker = []
    for seed in range(20):
        picture = draw_frame(cls, Slice((seed,)))
        mask = picture.masks[0]
        ring = binary_dilation(mask, iterations=12) & ~binary_dilation(
            np.logical_or.reduce(picture.masks), iterations=3
        )
        darker.append(picture.image[mask].mean() < picture.image[ring].mean())
    assert sum(darker) >= 16


def test_malignant_outlines_are_rougher_than_benign_ones() -> None:
    def roughness(cls: str) -> float:
        masks = [draw_frame(cls, Slice((seed,))).masks[0] for seed in range(20)]
        edges = [(binary_dilation(mask) & ~mask).sum() / np.sqrt(mask.sum()) for mask in masks]
        return float(np.median(edges))

    assert roughness("malignant") > 1.1 * roughness("benign")


def test_a_normal_frame_has_one_empty_mask() -> None:
    picture = draw_frame("normal", Slice((0,)))
    assert len(picture.masks) == 1
    assert not picture.masks[0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_image_and_masks_of_a_near_duplicate_stay_together(kind: Kind) -> None:
    frame = draw_frame("benign", Slice((5,)))
    again = export_again(frame, kind, np.random.default_rng(6))
    for mask in again.masks:
        assert mask.shape == again.image.shape
        assert mask.any()
        assert again.image[mask].mean() < again.image[~mask].mean()


def test_an_exact_near_duplicate_has_the_pixels_of_its_frame_marks_included() -> None:
    first = Plan("benign", 1, frame=0, frame_cls="benign", near_duplicate="", marks=True, sweep=0)
    again = Plan("malignant", 9, frame=0, frame_cls="benign", near_duplicate="exact", marks=True, sweep=0)
    assert np.array_equal(draw(first, seed=0).image, draw(again, seed=0).image)


def test_the_default_scanner_changes_nothing_and_every_setting_does() -> None:
    frame = draw_frame("benign", Slice((4,)))
    same = draw_frame("benign", Slice((4,)), LINEAR)
    assert np.array_equal(frame.image, same.image)
    for setting in ({"gain": -6.0}, {"noise": 0.1}, {"depth": 2.0}, {"sector": 60.0}):
        other = draw_frame("benign", Slice((4,)), LINEAR.model_copy(update=setting))
        assert other.image.shape == frame.image.shape
        assert not np.array_equal(other.image, frame.image)
        assert np.array_equal(other.masks[0], frame.masks[0]) == ("sector" not in setting)


@pytest.mark.parametrize("sector", [10.0, 60.0, 120.0])
def test_a_sector_keeps_the_lesion_and_is_black_outside(sector: float) -> None:
    scanner = LINEAR.model_copy(update={"sector": sector})
    for seed in range(3):
        picture = draw_frame("malignant", Slice((seed,)), scanner)
        assert picture.masks[0].any()
        assert not picture.image[0, 0] and not picture.image[0, -1]


def test_marks_change_few_pixels_and_no_mask() -> None:
    frame = draw_frame("malignant", Slice((2,)))
    marked = draw_marks(frame, np.random.default_rng(2))
    assert 0 < (marked != frame.image).mean() < 0.02
