import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as rle

from breast_ultrasound.findings.coco import coco


@given(arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_the_annotations_of_an_image_add_up_to_its_mask(mask: NDArray[np.bool_]) -> None:
    made = json.loads(json.dumps(coco([("a.png", mask)])))
    restored = np.zeros(mask.shape, int)
    for annotation in made["annotations"]:
        part = rle.decode(annotation["segmentation"])
        left, top, width, height = (int(side) for side in annotation["bbox"])
        assert part.sum() == annotation["area"] == part[top : top + height, left : left + width].sum()
        restored += part
    assert np.array_equal(restored, mask)


def test_images_and_annotations_are_numbered_through(tmp_path: Path) -> None:
    full, empty = np.ones((2, 3), bool), np.zeros((4, 5), bool)
    made = coco([("a.png", full), ("b.png", empty), ("c.png", full)])
    assert [(image["id"], image["file_name"]) for image in made["images"]] == [(1, "a.png"), (2, "b.png"), (3, "c.png")]
    assert [(annotation["id"], annotation["image_id"]) for annotation in made["annotations"]] == [(1, 1), (2, 3)]


@given(arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_the_run_lengths_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    for part, annotation in enumerate(coco([("a.png", mask)])["annotations"], 1):
        expected: Any = rle.encode(np.asfortranarray(labels == part, np.uint8))
        assert annotation["segmentation"]["counts"] == expected["counts"].decode()
        assert annotation["bbox"] == list(rle.toBbox(expected))


def test_parts_cost_their_own_pixels_and_not_those_of_the_image() -> None:
    mask = np.zeros((2048, 2048), bool)
    mask[::20, ::20] = True
    begin = time.process_time()
    assert len(coco([("a.png", mask)])["annotations"]) == 103 * 103
    assert time.process_time() - begin < 20
