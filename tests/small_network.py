"""The shape of a network that is built in a moment, for tests."""

from typing import Any

from breast_ultrasound.network.unet import Network


def small_network(**changed: Any) -> Network:
    """An attention U-Net from scratch with a class head."""
    shape: dict[str, Any] = {
        "encoder": "none",
        "stem": 1,
        "width": 4,
        "depth": 2,
        "decoder": (16, 8, 8, 4),
        "gates": True,
        "prior": 0.1,
        "dropout": 0.1,
        "class_head": True,
        "weights": None,
    }
    return Network(**shape | changed)
