"""Which network segments, where nobody says."""

from pathlib import Path

from breast_ultrasound.inference.exported import read_card
from breast_ultrasound.pipeline.errors import UserError

OWN = Path("models/attention-unet.onnx")
PRETRAINED = Path(__file__).parents[1] / "pretrained/attention-unet-busi.onnx"


def choose() -> tuple[Path, str]:
    """The network of the run that is checked out, unless it knows nothing but phantoms and there is a pretrained one.

    With a sentence that says which and why. UserError where there is none.
    """
    data = read_card(OWN).data if OWN.exists() else None
    if data and data != "phantom":
        return OWN, f"{OWN}: the network of this run, trained on {data}."
    if PRETRAINED.exists():
        why = "that of this run has seen phantoms alone" if data else "this run has exported none"
        return PRETRAINED, f"{PRETRAINED}: the network that comes with the project; {why}."
    if data:
        return OWN, f"{OWN}: the network of this run. It has seen phantoms alone and is of no use on real scans."
    raise UserError(f"{OWN}: no network there. Make it: `uv run dvc repro`, fetch it: `dvc pull`, or name a --model.")
