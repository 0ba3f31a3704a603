"""Write the predictions of the run that is checked out as files, as another system would hand them in.

    uv run python benchmarks/peers/own.py exported
    uv run score exported/masks --probabilities exported/probabilities --name own

The masks are post-processed and the probabilities are not, in steps of 1/255 and on native grids. Scoring them gives
the figures of the run to the last digit.
"""

import argparse
from pathlib import Path

import numpy as np

from breast_ultrasound.answers.answer import POSTPROCESS, Postprocessing, read_postprocessing
from breast_ultrasound.answers.predictions import PREDICTIONS, PredictedFold, Prediction, map_predictions
from breast_ultrasound.cases.images import write_png
from breast_ultrasound.cases.prepared import PREPARED, read_index
from breast_ultrasound.cases.raw import RAW, read_cases


def export(masks: Path, probabilities: Path) -> None:
    """Write the mask and the probability of each test image of all folds that were run, as `<id>.png`."""
    for folder in (masks, probabilities):
        folder.mkdir(parents=True, exist_ok=True)
    cases, index = read_cases(RAW), read_index(PREPARED)
    for folder in sorted(PREDICTIONS.glob("fold-*")):
        postprocessing = read_postprocessing(POSTPROCESS, folder.name)

        def write(prediction: Prediction, fitted: Postprocessing = postprocessing) -> None:
            mask = fitted.answer(prediction.probability, prediction.logits).mask
            write_png(masks / f"{prediction.case.id}.png", mask.astype(np.uint8) * 255)
            write_png(probabilities / f"{prediction.case.id}.png", prediction.probability)

        for _ in map_predictions(write, PredictedFold(folder, cases, index), ["test"], f"export {folder.name}"):
            pass


def main() -> None:
    """Export to the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    export(folder / "masks", folder / "probabilities")


if __name__ == "__main__":
    main()
