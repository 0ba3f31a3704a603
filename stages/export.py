"""Write the trained network as one file that needs no Keras: `python -m stages.export --format onnx`.

models/attention-unet.onnx takes grey values uint8 [n, size, size] and returns `probability` [n, size, size] and, with a
class head, `class_probability` [n, 3] and `feature_distance` [n]: of one fold, or the mean of several
(network/ensemble.py). Its metadata are what it takes to make masks of these (inference/card.py).
metrics/export/onnx.json proves it: how far the file is, on the test images, from what the stage `predict` wrote and, of
several networks, from their mean in Keras. Beyond `export.bound` the stage fails.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from breast_ultrasound.answers.answer import POSTPROCESS
from breast_ultrasound.answers.calibration import class_probabilities
from breast_ultrasound.answers.predictions import FEATURES, PROBABILITY, class_logits, predictions, read_rows
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.folds import GROUPS, Exported, Run, read_folds, subsets
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.exporting.conversion import portable, write_litert, write_onnx
from breast_ultrasound.exporting.feature_distance import fit_feature_distance
from breast_ultrasound.exporting.litert import litert_predict
from breast_ultrasound.exporting.proof import Compute, Expected, check, differences
from breast_ultrasound.inference.card import Card, pooled
from breast_ultrasound.inference.exported import digest, open_network
from breast_ultrasound.inference.output import Output
from breast_ultrasound.network import model_files
from breast_ultrasound.network.deepest_features import FeatureDistance
from breast_ultrasound.network.ensemble import ensemble_mean, predict_mean
from breast_ultrasound.network.inference import Predict
from breast_ultrasound.network.unet import CLASS_OUTPUT
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Between, Section, load
from breast_ultrasound.pipeline.tables import read_table
from breast_ultrasound.scoring.figures import FIGURES, headline

if TYPE_CHECKING:
    import keras

NAME = "attention-unet"

# Images that Keras predicts at once by all networks.
_BATCH = 8

Format = Literal["onnx", "tflite"]


class DataSources(Section, extra="ignore"):
    """The origin of the images."""

    sources: Annotated[tuple[str, ...], Field(strict=False)]


class Export(Exported, extra="forbid"):
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

    @model_validator(mode="after")
    def _check(self) -> "Params":
        self.export.among(self.split.run)
        return self


@dataclass(frozen=True)
class Trained:
    """A fold's network, and the distance of its deepest features, None where there is none."""

    network: "keras.Model"
    distance: FeatureDistance | None


@dataclass(frozen=True)
class Exporter:
    """How networks become a file, and how the file is opened to compute."""

    format: Format
    card: Card
    half: bool

    def write(self, members: Sequence[Trained], path: Path) -> None:
        """Write the mean of networks to a file, with its feature distance where all of them have one."""
        writer = write_onnx if self.format == "onnx" else write_litert
        networks = [portable(member.network) for member in members]
        distances = [member.distance for member in members if member.distance]
        distances = distances if len(distances) == len(members) else []
        mean = ensemble_mean(networks, self.card.mirror, self.card.postprocessing.temperature, distances)
        writer(mean, self.card, self.half, path)

    def open(self, path: Path) -> Compute:
        """Return the function that a file computes."""
        return open_network(path).predict if self.format == "onnx" else litert_predict(path)


def read_trained(fold: int) -> Trained:
    """Read a fold's network, and fit its feature distance on the images that it was not trained on."""
    features, rows = np.load(predictions(fold) / FEATURES), read_rows(predictions(fold))
    held_out = rows["subset"].isin(["validation", "test"]).to_numpy()
    groups = read_table(GROUPS).set_index("id")["group"].loc[rows["id"][held_out]].to_numpy()
    distance = fit_feature_distance(features[held_out], groups) if features.shape[1] else None
    return Trained(model_files.load(model_files.model_file(fold)), distance)


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


def prove(exporter: Exporter, members: dict[int, Trained], file: Path) -> dict[str, dict[str, float]]:
    """Return how far exported networks are from Keras on the test images: each fold's on its own, and their mean.

    Each fold's network, exported alone as the file was, is compared with what the stage `predict` wrote, and a file of
    several networks with their mean in Keras.
    """
    postprocessing = exporter.card.postprocessing
    prepared, temperature = Prepared.open(PREPARED), postprocessing.temperature
    proof = {}
    with tempfile.TemporaryDirectory() as folder:
        for fold, member in members.items():
            alone = file if len(members) == 1 else Path(folder) / f"fold-{fold}{file.suffix}"
            if alone != file:
                exporter.write([member], alone)
            images = read_predicted(fold, prepared, temperature)
            proof[f"fold-{fold}"] = differences(exporter.open(alone), images, postprocessing)
    if len(members) > 1:
        mean = ensemble_mean([member.network for member in members.values()], exporter.card.mirror, temperature)
        images = [image for fold in members for image in read_predicted(fold, prepared, temperature)]
        proof["average"] = differences(exporter.open(file), predict_again(mean, images), postprocessing)
    return proof


def _read_format() -> Format:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=["onnx", "tflite"], required=True, help="format of the file")
    return parser.parse_args().format


def make_card(params: Params, members: dict[int, Trained], figures: dict[str, Any]) -> Card:
    """Return the card of the exported file: `members` are the networks in it by fold, `figures` are the run's."""
    first, member = next(iter(members.items()))
    tested = {"all": figures["test"], **figures.get("test by source", {})}
    return Card(
        name=NAME,
        data=", ".join(params.data.sources),
        folds=tuple(members),
        size=member.network.input_shape[1],
        mirror=params.predict.mirror,
        classes=CLASSES if CLASS_OUTPUT in member.network.output else (),
        postprocess=pooled(json.loads(POSTPROCESS.read_text())),
        trained_images=int((subsets(read_folds(), first) == "train").sum()),
        tested={name: headline(part) | {"images": part["after"]["all"]["images"]} for name, part in tested.items()},
    )


@command
def main() -> None:
    """Export the networks of the folds that params.yaml names, in one format."""
    suffix = _read_format()
    params = load(Params)
    members = {fold: read_trained(fold) for fold in params.export.among(params.split.run)}
    card = make_card(params, members, json.loads(FIGURES.read_text()))
    exporter = Exporter(suffix, card, half=params.export.weights == "float16")
    with atomic_write(Path(f"models/{NAME}.{suffix}")) as aside:
        exporter.write(list(members.values()), aside)
        proof = prove(exporter, members, aside)
        check(proof, params.export.bound)
        about = {"bytes": aside.stat().st_size, "sha256": digest(aside)}
    with atomic_write(Path(f"metrics/export/{suffix}.json")) as aside:
        aside.write_text(json.dumps(about | proof, indent=2) + "\n")


if __name__ == "__main__":
    main()
