from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breast_ultrasound.auditing import candidates
from breast_ultrasound.auditing.album import Album, Rows
from breast_ultrasound.auditing.candidates import find_candidates
from breast_ultrasound.auditing.features import SIDE, describe, make_thumbnail, mirror
from breast_ultrasound.auditing.near_duplicates import (
    NearDuplicatePair,
    align,
    group_pairs,
    pair_equal_images,
    similarity,
    verify,
)
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.phantom.drawing import draw_frame
from breast_ultrasound.sources.phantom.marks import draw_marks
from breast_ultrasound.sources.phantom.near_duplicates import Kind, export_again
from breast_ultrasound.sources.phantom.picture import DrawnImage
from breast_ultrasound.sources.phantom.volume import Slice


def frame(seed: int) -> DrawnImage:
    return draw_frame("benign", Slice((seed,)))


def collect(images: list[Grey], folder: Path) -> Album:
    album = Album(folder)
    for thumbnail in map(make_thumbnail, images):
        album.add(thumbnail, describe(thumbnail))
    return album


def find(images: list[Grey], folder: Path) -> list[NearDuplicatePair]:
    album = collect(images, folder)
    verified = (verify(album, candidate) for candidate in find_candidates(album, 0, folder))
    return [pair for pair in verified if pair]


@pytest.mark.parametrize("kind", ["exact", "crop", "rescale", "gain", "mirror"])
def test_a_near_duplicate_of_each_kind_is_found_among_strangers(kind: Kind, tmp_path: Path) -> None:
    original = frame(0)
    again = export_again(original, kind, np.random.default_rng(1)).image
    pairs = find([original.image, *(frame(seed).image for seed in range(1, 6)), again], tmp_path)
    alike = [(pair.first, pair.second, pair.mirrored) for pair in pairs if pair.similarity > 0.6]
    assert alike == [(0, 6, kind == "mirror")]


def test_marks_on_one_of_two_images_hide_nothing(tmp_path: Path) -> None:
    original = frame(3)
    marked = draw_marks(original, np.random.default_rng(0))
    assert find([original.image, marked], tmp_path)[0].similarity > 0.95


def test_mirrored_features_are_those_of_the_mirror_image() -> None:
    thumbnail = make_thumbnail(frame(0).image)
    ours, detected = mirror(describe(thumbnail)), describe(np.ascontiguousarray(thumbnail[:, ::-1]))
    distances = np.linalg.norm(ours.points[:, None] - detected.points[None], axis=-1)
    nearest = distances.argmin(axis=1)
    same_place = distances.min(axis=1) < 1
    assert same_place.mean() > 0.9
    # Where the keypoint is the same, so is its descriptor, up to rounding.
    gap = abs(ours.descriptors.astype(int) - detected.descriptors[nearest].astype(int)).max(axis=1)
    assert np.median(gap[same_place]) <= 2


def test_the_map_of_a_crop_is_recovered() -> None:
    image = frame(0).image
    height, width = image.shape
    crop = image[height // 10 :, width // 5 :]
    matrix = align(describe(make_thumbnail(image)), describe(make_thumbnail(crop)))
    assert matrix is not None
    assert matrix == pytest.approx(np.array([[0.8, 0, SIDE / 5], [0, 0.9, SIDE / 10]]), abs=2.5)


def test_similarity_is_one_for_itself_and_undefined_without_overlap_or_texture() -> None:
    thumbnail, same = make_thumbnail(frame(0).image), np.eye(2, 3)
    assert similarity(thumbnail, thumbnail, same) == pytest.approx(1, abs=1e-3)
    assert similarity(thumbnail, 255 - thumbnail, same) == pytest.approx(-1, abs=1e-3)
    assert similarity(thumbnail, thumbnail, np.array([[1, 0, 230.0], [0, 1, 0]])) == -1
    assert similarity(np.full_like(thumbnail, 90), thumbnail, same) == -1


@pytest.mark.parametrize("images", [0, 1, 3])
def test_images_without_keypoints_have_no_candidates(images: int, tmp_path: Path) -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    assert find_candidates(collect([flat] * images, tmp_path), 0, tmp_path) == []


def test_sorting_in_small_parts_gives_the_same_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [frame(seed).image for seed in range(4)]
    album = collect([*frames, np.zeros((SIDE, SIDE), np.uint8), *frames[::-1], frames[0][:, ::-1]], tmp_path)
    at_once = find_candidates(album, 0, tmp_path)
    assert {(0, 8, False), (0, 9, True), (3, 5, False)} <= set(at_once)
    monkeypatch.setattr(candidates, "_HASHES", 100)
    monkeypatch.setattr(candidates, "_IMAGES", 1)
    assert find_candidates(album, 0, tmp_path) == at_once


def test_an_album_returns_what_was_added(tmp_path: Path) -> None:
    thumbnails = [make_thumbnail(frame(seed).image) for seed in range(3)]
    thumbnails.insert(1, np.zeros((SIDE, SIDE), np.uint8))
    album = collect(thumbnails, tmp_path)
    assert len(album) == 4
    for position, thumbnail in enumerate(thumbnails):
        features, expected = album.features(position), describe(thumbnail)
        assert np.array_equal(album.thumbnail(position), thumbnail)
        assert np.array_equal(features.points, expected.points)
        assert np.array_equal(features.descriptors, expected.descriptors)
    counts = np.bincount(album.owners(np.arange(len(album.descriptors))), minlength=4)
    assert counts.tolist() == [len(describe(thumbnail).points) for thumbnail in thumbnails]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    rows = Rows(tmp_path / "rows", np.uint8, 2)
    (tmp_path / "rows").unlink()
    (tmp_path / "rows").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"rows: could not be written \(.*No space left"):
        rows.add(np.ones((3, 2), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (20, 20)])
def test_tiny_and_flat_images_are_described_without_a_crash(shape: tuple[int, int]) -> None:
    for image in (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
        assert len(describe(make_thumbnail(image)).points) == 0


def test_many_identical_images_stay_cheap(tmp_path: Path) -> None:
    album, thumbnail = Album(tmp_path), make_thumbnail(frame(0).image)
    features = describe(thumbnail)
    for _ in range(300):
        album.add(thumbnail, features)
    # All 44,850 pairs are alike; each image is compared with a few.
    assert 0 < len(find_candidates(album, 0, tmp_path)) <= 300 * 12


def test_each_image_is_paired_with_the_one_before_of_equal_pixels() -> None:
    pairs = pair_equal_images(["a", "b", "a", "c", "a"])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2), (2, 4)]


def pair(first: int, second: int, value: float) -> NearDuplicatePair:
    return NearDuplicatePair(first, second, value, mirrored=False, same_view=True)


def test_one_weak_pair_joins_two_single_images_but_no_groups() -> None:
    strong = [pair(0, 1, 0.9), pair(2, 3, 0.9)]
    assert group_pairs(5, [*strong, pair(1, 2, 0.5)], weak=0.4, strong=0.6).tolist() == [0, 0, 1, 1, 2]
    assert group_pairs(5, [*strong, pair(1, 2, 0.5), pair(0, 3, 0.45)], weak=0.4, strong=0.6).tolist() == [
        0,
        0,
        0,
        0,
        1,
    ]
    assert group_pairs(2, [pair(0, 1, 0.5)], weak=0.4, strong=0.6).tolist() == [0, 0]
    assert group_pairs(2, [pair(0, 1, 0.3)], weak=0.4, strong=0.6).tolist() == [0, 1]


def test_a_weak_pair_of_another_view_joins_nothing() -> None:
    crop = NearDuplicatePair(0, 1, 0.5, mirrored=False, same_view=False)
    assert group_pairs(2, [crop], weak=0.4, strong=0.6).tolist() == [0, 1]
    assert group_pairs(2, [crop], weak=0.3, strong=0.4).tolist() == [0, 0]


PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1)), max_size=20)


@given(PAIRS)
def test_groups_are_connected_components_of_strong_pairs_or_wider(values: list[tuple[int, int, float]]) -> None:
    pairs = [pair(min(a, b), max(a, b), value) for a, b, value in values if a != b]
    groups = group_pairs(10, pairs, weak=0.4, strong=0.6)
    assert all(groups[one.first] == groups[one.second] for one in pairs if one.similarity >= 0.6)
    assert sorted(set(groups.tolist())) == list(range(groups.max() + 1))
    firsts = [groups.tolist().index(number) for number in range(groups.max() + 1)]
    assert firsts == sorted(firsts)
