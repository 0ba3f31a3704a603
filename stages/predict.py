"""Predict the validation and test images of one fold: `python -m stages.predict --fold 0`.

Writes data/predictions/fold-0 with probability.npy (uint8 [n, size, size], in steps of 1/255, on the prepared grid,
memory-mappable) and index.csv: id and subset of each row.
"""

import pandas as pd
from tqdm import trange

from stages.common import device, model_files, params, paths
from stages.common.errors import command
from stages.common.files import written_aside, written_rows
from stages.common.folds import read_fold, subsets
from stages.common.inference import probabilities
from stages.common.predictions import INDEX, PROBABILITY
from stages.common.prepared import Prepared

_BATCH = 16


@command
def main() -> None:
    """Predict one fold."""
    fold = read_fold(__doc__ or "")
    loaded = params.load()
    hardware = device.configure(loaded.train.device, loaded.train.precision, loaded.seed)
    network = model_files.load(paths.model(fold), hardware.precision)
    prepared = Prepared.open(paths.PREPARED)
    folds = pd.read_csv(paths.FOLDS)
    rows = folds.assign(subset=subsets(folds["fold"], fold)).query("subset in ('validation', 'test')")
    with written_aside(paths.predictions(fold)) as folder:
        folder.mkdir()
        shape = (len(rows), prepared.size, prepared.size)
        with written_rows(folder / PROBABILITY, shape) as add:
            for start in trange(0, len(rows), _BATCH, desc="predict", unit="batch", disable=None):
                batch = rows.index[start : start + _BATCH]
                add(probabilities(network, prepared.images[batch], loaded.predict.mirror))
        rows[["id", "subset"]].to_csv(folder / INDEX, index=False)


if __name__ == "__main__":
    main()
