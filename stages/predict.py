"""Predict the validation and test images of one fold: `python -m stages.predict --fold 0`.

Writes data/predictions/fold-0 with probability.npy (uint8 [n, size, size], in steps of 1/255, on the prepared grid,
memory-mappable) and index.csv: id and subset of each row and, of a network with a class head, the logit of each class.
Beside `validation` and `test` there is a subset for each of SCANNERS: the validation images as another scanner might
have shown them.
"""

import numpy as np
import pandas as pd
from tqdm import trange

from breast_ultrasound.answers.predictions import CLASS_LOGITS, INDEX, PROBABILITY, predictions
from breast_ultrasound.cases.folds import FOLDS, read_fold, subsets
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.cases.scanners import SCANNERS, as_seen_by
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.device import Hardware
from breast_ultrasound.network.inference import Predict, predict
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import written_aside, written_rows
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.pipeline.tables import read_table

_BATCH = 16


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    hardware: Hardware
    predict: Predict


def planned(folds: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The rows of folds.csv to predict, by their place in it, with the subset that each is predicted for."""
    rows = folds.assign(subset=subsets(folds["fold"], fold))
    validation = rows[rows["subset"] == "validation"]
    changed = [validation.assign(subset=scanner) for scanner in SCANNERS]
    return pd.concat([rows[rows["subset"].isin(["validation", "test"])], *changed])


def shown(prepared: Prepared, row: int, subset: str) -> Grey:
    """A prepared image, uint8 [size, size], as a subset shows it."""
    square = prepared.images[row].copy()
    if subset in SCANNERS:
        content = letterboxes(prepared.index.iloc[[row]])[0].content(square)
        content[...] = as_seen_by(subset, content)
    return square


@command
def main() -> None:
    """Predict one fold."""
    fold = read_fold(__doc__ or "")
    loaded = load(Params)
    device.configure(loaded.hardware, loaded.seed)
    network = model_files.load(model_files.model_file(fold))
    prepared = Prepared.open(PREPARED)
    rows = planned(read_table(FOLDS), fold)
    with written_aside(predictions(fold)) as folder:
        folder.mkdir()
        shape = (len(rows), prepared.size, prepared.size)
        logits = []
        with written_rows(folder / PROBABILITY, shape) as add:
            for start in trange(0, len(rows), _BATCH, desc="predict", unit="batch", disable=None):
                batch = rows.iloc[start : start + _BATCH]
                images = np.stack([shown(prepared, *row) for row in zip(batch.index, batch["subset"], strict=True)])
                probability, class_logits = predict(network, images, loaded.predict.mirror)
                add(probability)
                logits.append(class_logits)
        said = np.concatenate(logits)
        columns = pd.DataFrame(said, columns=CLASS_LOGITS[: said.shape[1]])
        table = rows[["id", "subset"]].reset_index(drop=True).join(columns)
        table.to_csv(folder / INDEX, index=False, float_format="%.6f")


if __name__ == "__main__":
    main()
