"""Where each stage leaves its outputs, relative to the root of the repository, as dvc.yaml declares them."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
GROUPS = Path("data/groups.csv")
FOLDS = Path("data/folds.csv")
AUDIT = Path("metrics/audit.json")
SCORES = Path("metrics/scores.csv")
FIGURES = Path("metrics/figures.json")
SUMMARY = Path("metrics/summary.json")
POSTPROCESS = Path("metrics/postprocess.json")
PLOTS = Path("metrics/plots")
REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
EXAMPLES = Path("metrics/examples")
LOGS = Path("logs")


def model(fold: int) -> Path:
    """The network trained for a fold."""
    return Path(f"models/fold-{fold}.keras")


def checkpoint(fold: int) -> Path:
    """The state of a fold's unfinished training; gone when it has finished."""
    return Path(f"models/fold-{fold}.checkpoint")


def history(fold: int) -> Path:
    """The folder of a fold's training curves."""
    return Path(f"metrics/train/fold-{fold}")


def predictions(fold: int) -> Path:
    """The folder of a fold's probabilities."""
    return Path(f"data/predictions/fold-{fold}")
