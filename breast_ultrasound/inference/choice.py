"""The choice of the network to segment with."""

from dataclasses import dataclass
from pathlib import Path

from breast_ultrasound.inference.exported import read_card
from breast_ultrasound.pipeline.errors import UserError

# Relative to the folder that a command is run in: the export of the run that is checked out there.
OWN = Path("models/attention-unet.onnx")
# Comes with the package, wherever that is installed.
PRETRAINED = Path(__file__).parents[1] / "pretrained/attention-unet-busi.onnx"


@dataclass(frozen=True)
class Choice:
    """The file of a network, and a sentence that says which network it is."""

    path: Path
    reason: str


def choose(model: Path | None = None) -> Choice:
    """Choose `model` if it is given, else the network of this run or the pretrained one.

    The network of this run is preferred unless it is trained on phantoms. UserError if there is no network.
    """
    if model:
        return Choice(model, f"{model}: the network given by --model.")
    data = read_card(OWN).data if OWN.exists() else None
    if data and data != "phantom":
        return Choice(OWN, f"{OWN}: the network of this run, trained on {data}.")
    if PRETRAINED.exists():
        why = "the network of this run is trained on phantoms" if data else "this run has exported no network"
        return Choice(PRETRAINED, f"{PRETRAINED.name}: the network that comes with the project; {why}.")
    if data:
        return Choice(OWN, f"{OWN}: the network of this run. Trained on phantoms, it is of no use on real scans.")
    raise UserError(f"{OWN}: no such file. Make it (`uv run dvc repro`), fetch it (`dvc pull`) or give a --model.")
