"""Predict the validation and test images of one fold: `python -m stages.predict --fold 0`.

Writes data/predictions/fold-0 with probability.npy (uint8 [n, size, size], in steps of 1/255, on the prepared grid,
memory-mappable) and index.csv: id and subset of each row and, of a network with a class head, the probability and the
logit of each class.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from tqdm import trange

from stages.cases.classes import CLASSES
from stages.cases.folds import FOLDS, read_fold, subsets
from stages.cases.prepared import PREPARED, Prepared
from stages.network import device, model_files
from stages.network.device import Hardware
from stages.network.inference import Predict, predict
from stages.pipeline.errors import command
from stages.pipeline.files import written_aside, written_rows
from stages.pipeline.params import Section, Seed, load
from stages.scoring.predictions import CLASS_PROBABILITIES, INDEX, PROBABILITY, predictions

_BATCH = 16


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    hardware: Hardware
    predict: Predict


def class_columns(logits: NDArray[np.float32]) -> pd.DataFrame:
    """Columns p_benign, … and logit_benign, … of the logits [n, 3] of CLASSES; none of [n, 0]."""
    if not logits.size:
        return pd.DataFrame(index=range(len(logits)))
    values = np.hstack([softmax(logits, axis=1), logits])
    return pd.DataFrame(values, columns=[*CLASS_PROBABILITIES, *(f"logit_{name}" for name in CLASSES)])


@command
def main() -> None:
    """Predict one fold."""
    fold = read_fold(__doc__ or "")
    loaded = load(Params)
    hardware = device.configure(loaded.hardware, loaded.seed)
    network = model_files.load(model_files.model_file(fold), hardware.precision)
    prepared = Prepared.open(PREPARED)
    folds = pd.read_csv(FOLDS)
    rows = folds.assign(subset=subsets(folds["fold"], fold)).query("subset in ('validation', 'test')")
    with written_aside(predictions(fold)) as folder:
        folder.mkdir()
        shape = (len(rows), prepared.size, prepared.size)
        logits = []
        with written_rows(folder / PROBABILITY, shape) as add:
            for start in trange(0, len(rows), _BATCH, desc="predict", unit="batch", disable=None):
                batch = rows.index[start : start + _BATCH]
                probability, class_logits = predict(network, prepared.images[batch], loaded.predict.mirror)
                add(probability)
                logits.append(class_logits)
        table = rows[["id", "subset"]].reset_index(drop=True)
        table.join(class_columns(np.concatenate(logits))).to_csv(folder / INDEX, index=False, float_format="%.6f")


if __name__ == "__main__":
    main()
