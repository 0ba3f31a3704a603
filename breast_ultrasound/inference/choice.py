"""The choice of the network to segment with."""

from dataclasses import dataclass
from pathlib import Path

from breast_ultrasound.inference.card import Card
from breast_ultrasound.inference.exported import NetworkFile, read_network
from breast_ultrasound.pipeline.errors import UserError

# Relative to the folder that a command is run in: the export of the run that is checked out there.
OWN = Path("models/attention-unet.onnx")
# Comes with the package, wherever that is installed.
PRETRAINED = Path(__file__).parents[1] / "pretrained/attention-unet.onnx"

# A network that was trained on fewer images is doubted.
_FEW = 300


@dataclass(frozen=True)
class Choice:
    """The file of a network, and lines that say which network it is and how it was tested."""

    file: NetworkFile
    reason: str


def choose(model: Path | None = None) -> Choice:
    """Choose `model` if it is given, else the network of this run or the pretrained one.

    The network of this run is preferred unless it is trained on phantoms. UserError if there is no network.
    """
    if model:
        return _choice(read_network(model), "the network given by --model")
    own = read_network(OWN) if OWN.exists() else None
    pretrained = read_network(PRETRAINED) if PRETRAINED.exists() else None
    if own and own.card.data != "phantom":
        doubts = _doubts(own.card, pretrained.card if pretrained else None)
        return _choice(own, f"the network of this run, trained on {own.card.data}", *doubts)
    if pretrained:
        why = "the network of this run is trained on phantoms" if own else "this run has exported no network"
        trained = f"trained on {pretrained.card.data}"
        return _choice(pretrained, f"the network that comes with the project, {trained}; {why}")
    if own:
        return _choice(own, "the network of this run. Trained on phantoms, it is of no use on real scans")
    raise UserError(f"{OWN}: no such file. Make it (`uv run dvc repro`), fetch it (`dvc pull`) or give a --model.")


def _choice(file: NetworkFile, sentence: str, *doubts: str) -> Choice:
    name = file.path.name if file.path == PRETRAINED else file.path
    return Choice(file, "\n".join(filter(None, [f"{name}: {sentence}.", tested(file.card), *doubts])))


def tested(card: Card) -> str:
    """Return the line that says how a network was tested, an empty one of files of earlier versions."""
    figures = card.tested.get("all", {})
    if "lesion_dice" not in figures:
        return ""
    sources = ", ".join(
        f"{source} {of_source['lesion_dice']:.2f}"
        for source, of_source in card.tested.items()
        if source != "all" and "lesion_dice" in of_source
    )
    parts = [f"lesion Dice {figures['lesion_dice']:.2f}" + (f" ({sources})" if sources else "")]
    parts += [f"missed lesions {figures['missed']:.0%}"] if "missed" in figures else []
    if "normal_specificity" in figures:
        parts.append(f"specificity on normal images {figures['normal_specificity']:.0%}")
    images = f"Tested on {figures.get('images', 0):,} images, each by a network that was not trained on it"
    return f"{images}: {', '.join(parts)}."


def _doubts(own: Card, pretrained: Card | None) -> list[str]:
    """Return why the network of this run may be worse than the one that comes with the project."""
    doubts = []
    if own.trained_images is not None and own.trained_images < _FEW:
        doubts.append(f"It was trained on {own.trained_images} images only.")
    theirs = pretrained.tested.get("all", {}).get("lesion_dice") if pretrained else None
    ours = own.tested.get("all", {}).get("lesion_dice")
    if theirs and ours and ours < theirs:
        doubts.append(
            f"The network that comes with the project has a lesion Dice of {theirs:.2f} on its own test images. "
            f"Choose it by --model {PRETRAINED}."
        )
    return doubts
