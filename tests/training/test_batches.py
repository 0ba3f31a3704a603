import threading

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import Prepared
from breast_ultrasound.training.batches import Batches, Shard, as_fitted


def prepared(images: int) -> Prepared:
    """Images whose grey value is their row, of the classes 2, 0 and 1 in turn."""
    rows = np.arange(images, dtype=np.uint8)[:, None, None]
    box = Letterbox.fit(height=2, width=4, size=4)
    classes = np.resize(["normal", "benign", "malignant"], images)
    index = pd.DataFrame([box.geometry()] * images).assign(**{"class": classes})
    return Prepared(np.tile(rows, (1, 4, 4)), np.tile(rows % 2, (1, 4, 4)), index)


def rows_of(batches: Batches) -> list[int]:
    return [int(row) for index in range(len(batches)) for row in batches[index][0][0][:, 0, 0, 0]]


def test_without_a_seed_all_rows_come_in_order() -> None:
    batches = Batches(prepared(12), np.array([1, 3, 5, 7, 9]), batch=2)
    assert len(batches) == 3
    assert rows_of(batches) == [1, 3, 5, 7, 9]
    images, masks, content, classes = batches[0][0]
    assert images.shape == masks.shape == content.shape == (2, 4, 4, 1)
    assert classes.tolist() == [0, 2]


def test_a_batch_separates_the_images_from_their_padding() -> None:
    _, _, content, _ = Batches(prepared(2), np.arange(2), batch=2)[0][0]
    assert content[0, :, :, 0].tolist() == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]


def test_the_order_of_an_epoch_depends_on_seed_and_number_alone() -> None:
    def epoch(number: int, seed: int, before: int) -> list[int]:
        batches = Batches(prepared(40), np.arange(40), batch=8, seed=seed)
        for earlier in range(before):
            batches.start_epoch(earlier)
        batches.start_epoch(number)
        return rows_of(batches)

    assert epoch(3, seed=1, before=3) == epoch(3, seed=1, before=0)
    assert epoch(3, seed=1, before=0) != epoch(4, seed=1, before=0)
    assert epoch(3, seed=1, before=0) != epoch(3, seed=2, before=0)
    assert sorted(epoch(3, seed=1, before=0)) == list(range(40))


def test_the_next_batch_is_read_before_it_is_asked_for() -> None:
    whole, read = prepared(12), [threading.Event() for _ in range(12)]

    class Watched(Prepared):
        def read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            read[rows[0]].set()
            return super().read(rows)

    batches = Batches(Watched(whole.images, whole.masks, whole.index), np.arange(12), batch=4)
    assert batches[0][0][3].tolist() == whole.classes[:4].tolist()
    assert read[4].wait(timeout=30)
    assert not read[8].is_set()


def test_what_was_read_ahead_of_an_epoch_that_broke_off_never_comes() -> None:
    batches, fresh = (Batches(prepared(40), np.arange(40), batch=8, seed=1) for _ in range(2))
    batches.start_epoch(0)
    assert len(batches[0][0]) == 4
    for either in (batches, fresh):
        either.start_epoch(1)
    assert [rows_of(batches)[8:16], rows_of(batches)] == [rows_of(fresh)[8:16], rows_of(fresh)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends take the batches as they are")
def test_tensorflow_gets_the_batches_of_each_epoch_in_a_dataset_that_nothing_tunes() -> None:
    batches = Batches(prepared(19), np.arange(19), batch=8, seed=1)
    dataset = as_fitted(batches)
    assert not dataset.options().autotune.enabled
    assert len(dataset) == len(batches)
    for number in range(2):
        batches.start_epoch(number)
        for (batch,), (expected,) in zip(dataset, map(batches.__getitem__, range(len(batches))), strict=True):
            for part, array in zip(batch, expected, strict=True):
                np.testing.assert_array_equal(part, array, strict=True)


def test_a_small_last_batch_is_left_out_of_training_where_there_is_a_full_one() -> None:
    assert len(Batches(prepared(19), np.arange(19), batch=8, seed=1)) == 2
    assert len(Batches(prepared(5), np.arange(5), batch=8, seed=1)) == 1
    assert Batches(prepared(19), np.arange(19), batch=8, seed=1).images_per_epoch == 16


@given(
    images=st.integers(1, 40),
    processes=st.integers(1, 4),
    local_devices=st.integers(1, 3),
    per_device=st.integers(1, 3),
    seed=st.sampled_from([None, 1]),
)
def test_all_processes_together_read_the_batch_and_each_image_counts_once(
    images: int, processes: int, local_devices: int, per_device: int, seed: int | None
) -> None:
    devices = processes * local_devices
    data, rows, batch = prepared(images), np.arange(images), per_device * devices
    whole = Batches(data, rows, batch, seed)
    parts = [Batches(data, rows, batch, seed, Shard(devices, processes, own)) for own in range(processes)]
    for batches in (whole, *parts):
        batches.start_epoch(2)
    if devices == 1:
        assert len(parts[0][0]) == len(whole[0]) == 1
        return
    images_read, counted = 0, np.zeros(images)
    for index in range(len(whole)):
        expected = whole[index][0][0][:, 0, 0, 0]
        (first, _, weights), *others = [part[index] for part in parts]
        assert len(weights) % local_devices == 0
        assert all(np.array_equal(other[2], weights) for other in others)
        read = np.concatenate([first[0][:, 0, 0, 0], *(other[0][0][:, 0, 0, 0] for other in others)])
        assert np.array_equal(read, np.tile(expected, len(read) // len(expected)))
        np.add.at(counted, read, weights[0])
        images_read += len(read)
    # In the mean that Keras takes over all images that it gets, each image is one part.
    assert counted[counted > 0] / images_read == pytest.approx(1 / whole.images_per_epoch)
    assert np.count_nonzero(counted) == whole.images_per_epoch
