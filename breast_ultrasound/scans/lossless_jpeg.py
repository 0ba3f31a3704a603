"""A plugin that lets pydicom decode lossless JPEG of 8 bits by Pillow.

https://pydicom.github.io/pydicom/stable/guides/decoding/decoder_plugins.html
"""

import io

from PIL import Image
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

LABEL = "pillow"

DECODER_DEPENDENCIES = {JPEGLossless: ("pillow",), JPEGLosslessSV1: ("pillow",)}


def is_available(uid: str) -> bool:
    """Return whether frames of a transfer syntax are decoded here."""
    return uid in DECODER_DEPENDENCIES


def decode(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode the pixels of one frame."""
    return Image.open(io.BytesIO(source), formats=("JPEG",)).tobytes()
