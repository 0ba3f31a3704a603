"""Run lengths are unpacked as pycocotools packs them, and refused where they are those of no mask."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from breast_ultrasound.sources.run_lengths import unpack


@given(mask=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_what_the_library_packs_is_unpacked(mask: NDArray[np.bool_]) -> None:
    packed: Any = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    assert np.array_equal(unpack(packed["counts"].decode(), *mask.shape), mask)


@given(packed=st.text() | st.text("0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmno"))
def test_any_other_text_is_a_mask_or_refused(packed: str) -> None:
    try:
        mask = unpack(packed, 40, 60)
    except ValueError:
        return
    assert mask.shape == (40, 60)


@pytest.mark.parametrize("lengths", ["", "zz", "o" * 1000, [], [2399], [-1, 2401], [2**70]])
def test_lengths_that_do_not_fill_the_image_are_refused(lengths: Any) -> None:
    with pytest.raises(ValueError, match=r"pixels|packed"):
        unpack(lengths, 40, 60)
