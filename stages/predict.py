"""Predict the validation and test images of one fold: `python -m stages.predict --fold 0`.

Writes data/predictions/fold-0 with probability.npy (uint8 [n, size, size], in steps of 1/255, on the prepared grid,
memory-mappable), features.npy (float32 [n, channels], the deepest features of a network with a class head, else [n, 0])
and index.csv: id and subset of each row and, of a network with a class head, the logit of each class.
Beside `validation` and `test` there is a subset for each of DOMAIN_SHIFTS: the validation images under that shift, or
where no images validate, the test images.
"""

import numpy as np
import pandas as pd
from tqdm import trange

from breast_ultrasound.answers.predictions import FEATURES, INDEX, LOGIT_COLUMNS, PROBABILITY, predictions
from breast_ultrasound.cases.domain_shifts import DOMAIN_SHIFTS, apply_domain_shift
from breast_ultrasound.cases.folds import fitting_subset, read_fold, read_folds, subsets
from breast_ultrasound.cases.prepared import PREPARED, Prepared, letterboxes
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.deepest_features import with_deepest_features
from breast_ultrasound.network.device import Hardware
from breast_ultrasound.network.inference import Predict, predict
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write, written_rows
from breast_ultrasound.pipeline.params import Section, Seed, load

_BATCH = 16


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    hardware: Hardware
    predict: Predict


def rows_to_predict(folds: pd.DataFrame, fold: int) -> pd.DataFrame:
    """Return the rows of folds.csv to predict, by their position in it, with the subset of each prediction.

    An image on which post-processing is fitted has a row for itself and one for each domain shift.
    """
    rows = folds.assign(subset=subsets(folds, fold))
    fitting = rows[rows["subset"] == fitting_subset(folds)]
    shifted = [fitting.assign(subset=shift) for shift in DOMAIN_SHIFTS]
    return pd.concat([rows[rows["subset"].isin(["validation", "test"])], *shifted])


def network_input(prepared: Prepared, position: int, subset: str) -> Grey:
    """Return a prepared image, uint8 [size, size], under the domain shift that `subset` names, if it names one.

    The padding stays as it is.
    """
    grid = prepared.images[position].copy()
    if subset in DOMAIN_SHIFTS:
        content = letterboxes(prepared.index.iloc[[position]])[0].content(grid)
        content[...] = apply_domain_shift(subset, content)
    return grid


@command
def main() -> None:
    """Predict one fold."""
    fold = read_fold(__doc__ or "")
    loaded = load(Params)
    device.configure(loaded.hardware, loaded.seed)
    network = with_deepest_features(model_files.load(model_files.model_file(fold)))
    prepared = Prepared.open(PREPARED)
    rows = rows_to_predict(read_folds(), fold)
    with atomic_write(predictions(fold)) as folder:
        folder.mkdir()
        shape = (len(rows), prepared.size, prepared.size)
        batch_logits, batch_features = [], []
        with written_rows(folder / PROBABILITY, shape) as add:
            for start in trange(0, len(rows), _BATCH, desc="predict", unit="batch", disable=None):
                batch = rows.iloc[start : start + _BATCH]
                inputs = [network_input(prepared, *row) for row in zip(batch.index, batch["subset"], strict=True)]
                predicted = predict(network, np.stack(inputs), loaded.predict.mirror)
                add(predicted.probability)
                batch_logits.append(predicted.logits)
                batch_features.append(predicted.features)
        np.save(folder / FEATURES, np.concatenate(batch_features))
        logits = np.concatenate(batch_logits)
        columns = pd.DataFrame(logits, columns=LOGIT_COLUMNS[: logits.shape[1]])
        table = rows[["id", "subset"]].reset_index(drop=True).join(columns)
        table.to_csv(folder / INDEX, index=False, float_format="%.6f")


if __name__ == "__main__":
    main()
