"""Run lengths of COCO files, checked before anything is unpacked: the library believes what it is given.

The packed form is that of `rleToString` in maskApi.c of https://github.com/cocodataset/cocoapi: each length, from the
fourth on less the one before the last, in groups of 5 bits, the lowest first.
"""

from collections.abc import Sequence

import numpy as np

from breast_ultrasound.pipeline.arrays import Mask

_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, ord("0")

# More than any picture has pixels.
_MOST_BITS = 40


def unpack(lengths: Sequence[int] | str, height: int, width: int) -> Mask:
    """Return the mask bool [height, width] of runs down the columns, of 0 and of 1 by turns, the first of 0.

    ValueError where they are not those of a mask of this size.

    >>> unpack([1, 2, 3], 3, 2).astype(int).tolist()
    [[0, 0], [1, 0], [1, 0]]
    """
    counts = _numbers(lengths) if isinstance(lengths, str) else lengths
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"not those of {width}×{height} pixels")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _numbers(packed: str) -> list[int]:
    numbers: list[int] = []
    number = bits = 0
    for character in packed:
        group = ord(character) - _FIRST
        if not 0 <= group < 2 * _MORE or bits > _MOST_BITS:
            raise ValueError("no packed run lengths")
        number |= (group & (_MORE - 1)) << bits
        bits += _BITS
        if not group & _MORE:
            if group & _SIGN:
                number -= 1 << bits
            numbers.append(number + (numbers[-2] if len(numbers) > 2 else 0))
            number = bits = 0
    if bits:
        raise ValueError("packed run lengths that end within a number")
    return numbers
