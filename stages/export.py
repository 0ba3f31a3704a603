"""Write the trained network as one file that needs no Keras: `python -m stages.export --format onnx`.

models/attention-unet.onnx takes grey values uint8 [n, size, size] and gives `probability` [n, size, size] and, with a
class head, `class_probability` [n, 3]: the mean of all folds that are run, with the mirror image as `predict` has it.
Its metadata holds what makes masks of these (inference/card.py). metrics/export/onnx.json proves it: how far the
file lies, on the test images, from what the stage `predict` wrote. Beyond `export.bound` the stage fails.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from breast_ultrasound.answers.answer import POSTPROCESS, Fitted
from breast_ultrasound.answers.calibration import class_probabilities
from breast_ultrasound.answers.predictions import PROBABILITY, class_logits, predictions, read_rows
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.folds import Run
from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.exporting.conversion import averaged, write_litert, write_onnx
from breast_ultrasound.exporting.litert import litert_predict
from breast_ultrasound.inference.card import Card, pooled
from breast_ultrasound.inference.exported import digest, open_network
from breast_ultrasound.network import model_files
from breast_ultrasound.network.inference import Predict
from breast_ultrasound.network.unet import CLASS_LOGITS
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Between, Section, load

NAME = "attention-unet"

Format = Literal["onnx", "tflite"]
Answer = tuple[Grey, NDArray[Any]]


class Source(Section, extra="ignore"):
    """Where the images came from."""

    source: str


class Export(Section):
    """The exported file."""

    formats: Annotated[tuple[Format, ...], Field(strict=False)]
    weights: Literal["float16", "float32"]
    bound: Between


class Params(Section):
    """What this stage reads of params.yaml."""

    data: Source
    split: Run
    predict: Predict
    export: Export


@dataclass(frozen=True)
class Expected:
    """A test image on the grid, uint8 [size, size], where it lies there, and what the stage `predict` wrote of it."""

    square: Grey
    box: Letterbox
    answer: Answer


def predicted(fold: int, prepared: Prepared, divisor: float) -> Iterator[Expected]:
    """A fold's test images, their class probabilities calibrated by `divisor`."""
    table = read_rows(predictions(fold))
    probability = np.load(predictions(fold) / PROBABILITY, mmap_mode="r")
    classes = class_probabilities(class_logits(table), divisor)
    for row in np.flatnonzero(table["subset"] == "test"):
        place = int(np.flatnonzero(prepared.index["id"] == table["id"][row])[0])
        (box,) = letterboxes(prepared.index.iloc[[place]])
        yield Expected(prepared.images[place], box, (probability[row], classes[row]))


def differences(
    answer: Callable[[Grey], Answer], expected: Callable[[Expected], Answer], images: Iterable[Expected], fitted: Fitted
) -> dict[str, float]:
    """How far answers lie from those expected: the largest differences of two probabilities, and the pixels of the
    images' own grids whose mask is another one.
    """

    def compare(image: Expected) -> tuple[float, float, int, int]:
        told = answer(image.square), expected(image)
        (probability, classes), (right, classes_right) = told
        far = np.abs(probability.astype(int) - right).max() / 255
        masks = [fitted.judge(image.box.image_out(found), shares).mask for found, shares in told]
        return far, np.abs(classes - classes_right).max(initial=0), np.sum(masks[0] != masks[1]), masks[0].size

    found = np.array(list(map_on_all_cores(compare, images, "prove")))
    far, classes_far = found[:, :2].max(axis=0).round(4).tolist()
    changed, pixels = found[:, 2:].sum(axis=0).astype(int).tolist()
    return {
        "images": len(found),
        "probability": far,
        "class_probability": classes_far,
        "mask_pixels_changed": changed,
        "mask_pixels": pixels,
    }


def mean_of(answers: Sequence[Callable[[Grey], Answer]], square: Grey) -> Answer:
    """The mean of several answers for uint8 [size, size], the probabilities rounded to steps of 1/255 as each is."""
    probabilities, classes = zip(*(answer(square) for answer in answers), strict=True)
    return np.mean(probabilities, axis=0).round().astype(np.uint8), np.mean(classes, axis=0)


def prove(
    write: Callable[[Sequence[keras.Model], Path], None],
    read: Callable[[Path], Callable[[Grey], Answer]],
    file: Path,
    networks: dict[int, keras.Model],
    card: Card,
) -> dict[str, dict[str, float]]:
    """How far what was written lies from what the networks say of the test images.

    Each fold's network, written alone as the file was, against what `predict` wrote; and the file, where it holds
    several, against the mean of these.
    """
    prepared, divisor = Prepared.open(PREPARED), card.fitted.temperature
    found, answers = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for fold, network in networks.items():
            alone = file if len(networks) == 1 else Path(folder) / f"fold-{fold}{file.suffix}"
            if alone != file:
                write([network], alone)
            answers.append(read(alone))
            images = predicted(fold, prepared, divisor)
            found[f"fold-{fold}"] = differences(answers[-1], lambda image: image.answer, images, card.fitted)
        if len(networks) > 1:
            images = (image for fold in networks for image in predicted(fold, prepared, divisor))
            found["average"] = differences(
                read(file), lambda image: mean_of(answers, image.square), images, card.fitted
            )
    return found


def check(found: dict[str, dict[str, float]], bound: float) -> None:
    """UserError where two probabilities differ by more than `bound`."""
    for name, figures in found.items():
        largest = max(figures["probability"], figures["class_probability"])
        if largest > bound:
            raise UserError(
                f"{name}: the exported network's probabilities differ from those of `predict` by {largest}, more than "
                f"export.bound ({bound}). Set export.weights to float32; if that is not enough, raise export.bound."
            )


def _read_format() -> Format:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=["onnx", "tflite"], required=True, help="format of the file")
    return parser.parse_args().format


@command
def main() -> None:
    """Export the network of all folds that were run, in one format."""
    suffix = _read_format()
    loaded = load(Params)
    networks = {fold: model_files.load(model_files.model_file(fold)) for fold in loaded.split.run}
    first = next(iter(networks.values()))
    entry = pooled(json.loads(POSTPROCESS.read_text()))
    card = Card(
        name=NAME,
        data=loaded.data.source,
        folds=loaded.split.run,
        size=first.input_shape[1],
        mirror=loaded.predict.mirror,
        classes=CLASSES if CLASS_LOGITS in first.output else (),
        postprocess=entry,
    )
    writer = write_onnx if suffix == "onnx" else write_litert
    half = loaded.export.weights == "float16"

    def write(chosen: Sequence[keras.Model], path: Path) -> None:
        writer(averaged(chosen, card.mirror, card.fitted.temperature), card, half, path)

    def read(path: Path) -> Callable[[Grey], Answer]:
        return open_network(path).predict if suffix == "onnx" else litert_predict(path)

    with written_aside(Path(f"models/{NAME}.{suffix}")) as aside:
        write(list(networks.values()), aside)
        found = prove(write, read, aside, networks, card)
        check(found, loaded.export.bound)
        about = {"bytes": aside.stat().st_size, "sha256": digest(aside)}
    with written_aside(Path(f"metrics/export/{suffix}.json")) as aside:
        aside.write_text(json.dumps(about | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
