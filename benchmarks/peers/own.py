"""Write the predictions of the run that is checked out as files, as another system would hand them in.

    uv run python benchmarks/peers/own.py exported
    uv run score exported/masks --probabilities exported/probabilities --classes exported/classes.csv --name own

The masks are post-processed and the probabilities are not, in steps of 1/255 and on native grids; those of the classes
are calibrated, and there is no table of them of a network without a class head. Scoring all gives the figures of the
run to the last digit.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing, read_postprocessing
from breast_ultrasound.answers.predictions import PREDICTIONS, PredictedFold, Prediction, map_predictions
from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.images import write_png
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, read_cases


def export(target: Path) -> None:
    """Write the mask and the probability of each test image of all folds that were run, and a table of the classes."""
    masks, probabilities = target / "masks", target / "probabilities"
    for folder in (masks, probabilities):
        folder.mkdir(parents=True, exist_ok=True)
    cases, index, rows = read_cases(RAW), read_index(PREPARED), []
    for folder in sorted(PREDICTIONS.glob("fold-*")):
        postprocessing = read_postprocessing(POSTPROCESS, folder.name)

        def write(prediction: Prediction, fitted: Postprocessing = postprocessing) -> tuple[str, *tuple[float, ...]]:
            answer = fitted.answer(prediction.probability, prediction.logits)
            write_png(masks / f"{prediction.case.id}.png", answer.mask.astype(np.uint8) * 255)
            write_png(probabilities / f"{prediction.case.id}.png", prediction.probability)
            return prediction.case.id, *answer.class_probabilities

        rows += map_predictions(write, PredictedFold(folder, cases, index), ["test"], f"export {folder.name}")
    columns = ["id", *CLASSES]
    if all(len(row) == len(columns) for row in rows):
        pd.DataFrame(rows, columns=columns).to_csv(target / "classes.csv", index=False)


def main() -> None:
    """Export to the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    export(parser.parse_args().folder)


if __name__ == "__main__":
    main()
