"""The trainings of several folds in words."""

from typing import Any

from breast_ultrasound.pages.trainings import describe


def record(train: int, device: str = "AMD EPYC", precision: str = "bfloat16") -> dict[str, Any]:
    return {
        "device": {"name": device},
        "precision": precision,
        "versions": {"backend": "tensorflow", "tensorflow": "2.21.0", "keras": "3.15.1"},
        "weights": 2033237,
        "images": {"train": train, "validation": 152},
    }


def test_one_fold_is_described_as_it_is() -> None:
    assert describe({3: record(456)}) == {
        "train": "456",
        "validation": "152",
        "weights": "2,033,237",
        "setting": "bfloat16 on AMD EPYC",
        "libraries": "tensorflow 2.21.0, Keras 3.15.1",
    }


def test_several_folds_have_a_range_of_images_and_what_they_share_once() -> None:
    assert describe({0: record(456), 1: record(455), 2: record(458)}) == describe({0: record(456)}) | {
        "train": "455 to 458"
    }


def test_folds_that_were_trained_otherwise_are_named() -> None:
    training = describe({0: record(456), 1: record(456, "NVIDIA H200", "float32"), 4: record(456)})
    assert training["setting"] == "bfloat16 on AMD EPYC (fold 0, 4), float32 on NVIDIA H200 (fold 1)"
    assert training["weights"] == "2,033,237"
