"""Write the trained network as one file that needs no Keras: `python -m stages.export --format onnx`.

models/attention-unet.onnx takes grey values uint8 [n, size, size] and returns `probability` [n, size, size] and, with a
class head, `class_probability` [n, 3]: the mean of all folds that are run (network/ensemble.py). Its metadata are what
it takes to make masks of these (inference/card.py). metrics/export/onnx.json proves it: how far the file is, on the
test images, from what the stage `predict` wrote and, of several networks, from their mean in Keras. Beyond
`export.bound` the stage fails.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing
from breast_ultrasound.answers.calibration import class_probabilities
from breast_ultrasound.answers.predictions import PROBABILITY, class_logits, predictions, read_rows
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.folds import Run
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.exporting.conversion import portable, write_litert, write_onnx
from breast_ultrasound.exporting.litert import litert_predict
from breast_ultrasound.inference.card import Card, pooled
from breast_ultrasound.inference.exported import digest, open_network
from breast_ultrasound.inference.output import Output
from breast_ultrasound.network import model_files
from breast_ultrasound.network.ensemble import ensemble_mean, predict_mean
from breast_ultrasound.network.inference import Predict
from breast_ultrasound.network.unet import CLASS_OUTPUT
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Between, Section, load

if TYPE_CHECKING:
    import keras

NAME = "attention-unet"

# Images that Keras predicts at once by all networks.
_BATCH = 8

Format = Literal["onnx", "tflite"]
# From an image on the grid, uint8 [size, size], to the output of a file.
Compute = Callable[[Grey], Output]


class DataSources(Section, extra="ignore"):
    """The origin of the images."""

    sources: Annotated[tuple[str, ...], Field(strict=False)]


class Export(Section):
    """The exported file."""

    formats: Annotated[tuple[Format, ...], Field(strict=False)]
    weights: Literal["float16", "float32"]
    bound: Between


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    data: DataSources
    split: Run
    predict: Predict
    export: Export


@dataclass(frozen=True)
class Expected:
    """A test image on the grid, uint8 [size, size], its letterbox, and the output that a file should have for it."""

    grid: Grey
    box: Letterbox
    output: Output


@dataclass(frozen=True)
class Exporter:
    """How networks become a file, and how the file is opened to compute."""

    format: Format
    card: Card
    half: bool

    def write(self, networks: "Sequence[keras.Model]", path: Path) -> None:
        """Write the mean of networks to a file."""
        writer = write_onnx if self.format == "onnx" else write_litert
        temperature = self.card.postprocessing.temperature
        mean = ensemble_mean([portable(network) for network in networks], self.card.mirror, temperature)
        writer(mean, self.card, self.half, path)

    def open(self, path: Path) -> Compute:
        """Return the function that a file computes."""
        return open_network(path).predict if self.format == "onnx" else litert_predict(path)


def read_predicted(fold: int, prepared: Prepared, temperature: float) -> Iterator[Expected]:
    """Yield a fold's test images with what the stage `predict` wrote of them, the classes calibrated."""
    rows = read_rows(predictions(fold))
    probability = np.load(predictions(fold) / PROBABILITY, mmap_mode="r")
    classes = class_probabilities(class_logits(rows), temperature)
    for row in np.flatnonzero(rows["subset"] == "test"):
        place = int(np.flatnonzero(prepared.index["id"] == rows["id"][row])[0])
        (box,) = letterboxes(prepared.index.iloc[[place]])
        yield Expected(prepared.images[place], box, Output(probability[row], classes[row]))


def predict_again(ensemble: "keras.Model", images: Sequence[Expected]) -> Iterator[Expected]:
    """Yield images with the output of the mean of several networks, computed by Keras, in place of their own."""
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        probability, classes = predict_mean(ensemble, np.stack([image.grid for image in batch]))
        for image, output in zip(batch, map(Output, probability, classes), strict=True):
            yield Expected(image.grid, image.box, output)


def differences(compute: Compute, images: Iterable[Expected], postprocessing: Postprocessing) -> dict[str, float]:
    """Return how far a file's outputs are from those expected.

    These are the largest differences of two probabilities, and the number of pixels, of all pixels of the native grids,
    whose mask changes.
    """

    def compare(image: Expected) -> tuple[float, float, int, int]:
        outputs = compute(image.grid), image.output
        far = np.abs(outputs[0].probability.astype(int) - outputs[1].probability).max() / 255
        far_classes = np.abs(outputs[0].class_probabilities - outputs[1].class_probabilities).max(initial=0)
        mask, expected = (
            postprocessing.answer_calibrated(image.box.to_native(output.probability), output.class_probabilities).mask
            for output in outputs
        )
        return far, far_classes, np.sum(mask != expected), mask.size

    compared = np.array(list(map_on_all_cores(compare, images, "prove")))
    far, far_classes = compared[:, :2].max(axis=0).round(4).tolist()
    changed, pixels = compared[:, 2:].sum(axis=0).astype(int).tolist()
    return {
        "images": len(compared),
        "probability": far,
        "class_probability": far_classes,
        "mask_pixels_changed": changed,
        "mask_pixels": pixels,
    }


def prove(exporter: Exporter, networks: "dict[int, keras.Model]", file: Path) -> dict[str, dict[str, float]]:
    """Return how far exported networks are from Keras on the test images: each fold's on its own, and their mean.

    Each fold's network, exported alone as the file was, is compared with what the stage `predict` wrote, and a file of
    several networks with their mean in Keras.
    """
    postprocessing = exporter.card.postprocessing
    prepared, temperature = Prepared.open(PREPARED), postprocessing.temperature
    proof = {}
    with tempfile.TemporaryDirectory() as folder:
        for fold, network in networks.items():
            alone = file if len(networks) == 1 else Path(folder) / f"fold-{fold}{file.suffix}"
            if alone != file:
                exporter.write([network], alone)
            images = read_predicted(fold, prepared, temperature)
            proof[f"fold-{fold}"] = differences(exporter.open(alone), images, postprocessing)
    if len(networks) > 1:
        mean = ensemble_mean(list(networks.values()), exporter.card.mirror, temperature)
        images = [image for fold in networks for image in read_predicted(fold, prepared, temperature)]
        proof["average"] = differences(exporter.open(file), predict_again(mean, images), postprocessing)
    return proof


def check(proof: dict[str, dict[str, float]], bound: float) -> None:
    """UserError if two probabilities differ by more than `bound`."""
    for name, figures in proof.items():
        largest = max(figures["probability"], figures["class_probability"])
        if largest > bound:
            raise UserError(
                f"{name}: the exported network's probabilities differ from those of Keras by {largest}, more than "
                f"export.bound ({bound}). Set export.weights to float32; if that is not enough, raise export.bound."
            )


def _read_format() -> Format:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=["onnx", "tflite"], required=True, help="format of the file")
    return parser.parse_args().format


def make_card(params: Params, network: "keras.Model") -> Card:
    """Return the card of the exported file; `network` is one of those in it."""
    return Card(
        name=NAME,
        data=", ".join(params.data.sources),
        folds=params.split.run,
        size=network.input_shape[1],
        mirror=params.predict.mirror,
        classes=CLASSES if CLASS_OUTPUT in network.output else (),
        postprocess=pooled(json.loads(POSTPROCESS.read_text())),
    )


@command
def main() -> None:
    """Export the network of all folds that are run, in one format."""
    suffix = _read_format()
    params = load(Params)
    networks = {fold: model_files.load(model_files.model_file(fold)) for fold in params.split.run}
    card = make_card(params, next(iter(networks.values())))
    exporter = Exporter(suffix, card, half=params.export.weights == "float16")
    with atomic_write(Path(f"models/{NAME}.{suffix}")) as aside:
        exporter.write(list(networks.values()), aside)
        proof = prove(exporter, networks, aside)
        check(proof, params.export.bound)
        about = {"bytes": aside.stat().st_size, "sha256": digest(aside)}
    with atomic_write(Path(f"metrics/export/{suffix}.json")) as aside:
        aside.write_text(json.dumps(about | proof, indent=2) + "\n")


if __name__ == "__main__":
    main()
