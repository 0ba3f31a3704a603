"""Trained networks on disk: the same bytes for the same weights, in float32 whatever they were trained in."""

import json
import zipfile
from pathlib import Path

import keras

from breast_ultrasound.network.layers import BatchNormalization
from breast_ultrasound.pipeline.errors import UserError

# The earliest time that a zip entry can carry, and what stands for the date inside.
_EPOCH = (1980, 1, 1, 0, 0, 0)

MODELS = Path("models")

# The value of network.weights that stands for the network that comes with the project, and its file.
SHIPPED = "shipped"
SHIPPED_FILE = Path(__file__).parents[1] / "pretrained/attention-unet.keras"


def model_file(fold: int) -> Path:
    """Return the path of the network that was trained for a fold."""
    return MODELS / f"fold-{fold}.keras"


def weights_file(weights: str) -> Path:
    """Return the file that a value of network.weights names."""
    return SHIPPED_FILE if weights == SHIPPED else Path(weights)


def save(network: keras.Model, path: Path, dtype: str = "float32") -> None:
    """Write `network` as a .keras file without times or dates, with its weights in float32 or float16.

    It holds layers of Keras alone: `keras.saving.load_model` opens it as any other, without this project.
    """
    _copy(network, {BatchNormalization: keras.layers.BatchNormalization}, dtype).save(path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(entries["metadata.json"])
    entries["metadata.json"] = json.dumps(metadata | {"date_saved": "1980-01-01@00:00:00"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def load(path: Path) -> keras.Model:
    """Read a network, to compute in float32 with the fused normalisation; UserError where there is none.

    It computes in float32 whatever it was trained in, since exported networks do so, and in bfloat16 some probabilities
    would be 0.05 from theirs.
    """
    if not path.exists():
        raise UserError(f"{path}: no trained network there. Make it with `uv run dvc repro`, or fetch it: `dvc pull`.")
    try:
        network = keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a network that Keras {keras.__version__} can read ({error}).") from error
    return _copy(network, {keras.layers.BatchNormalization: BatchNormalization})


def start_from(network: keras.Model, path: Path) -> None:
    """Give `network` the weights of a file; UserError where there is none, or its network has another shape."""
    weights = load(path).get_weights()
    if [array.shape for array in weights] != [array.shape for array in network.get_weights()]:
        raise UserError(
            f"network.weights: {path} holds a network of another shape. Set the section network of params.yaml to the "
            "encoder, stem, width, depth, decoder, gates and class_head that it was trained with."
        )
    network.set_weights(weights)


def _copy(
    network: keras.Model, replaced: dict[type[keras.Layer], type[keras.Layer]], dtype: str = "float32"
) -> keras.Model:
    """Copy `network` to a dtype, with the same weights, and with other layers in place of those to be `replaced`."""

    def copy(layer: keras.Layer) -> keras.Layer:
        return replaced.get(type(layer), type(layer)).from_config({**layer.get_config(), "dtype": dtype})

    clone = keras.models.clone_model(network, clone_function=copy)
    clone.set_weights(network.get_weights())
    return clone
