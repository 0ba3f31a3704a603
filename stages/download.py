"""Bring the images and masks to data/raw, in one layout whatever the source (cases/raw.py), and verify them.

data.source in params.yaml says from where: the built-in phantom, BUSI from Kaggle or a local copy, or other data.
"""

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, model_validator

from breast_ultrasound.cases.raw import RAW, Case, write_table
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import written_aside
from breast_ultrasound.pipeline.params import Positive, Section, Seed, load
from breast_ultrasound.sources import manifest
from breast_ultrasound.sources.custom import copy_custom, opened
from breast_ultrasound.sources.phantom import Scanner, write_phantom
from breast_ultrasound.sources.release import copy_release

BUSI_ON_KAGGLE = "aryashah2k/breast-ultrasound-images-dataset/versions/1"


class Data(Section):
    """Where the images come from."""

    source: Literal["phantom", "busi", "custom"]
    archive: Annotated[str, Field(min_length=1)] | None
    max_gib: Positive
    phantom_images: Annotated[int, Field(ge=20)]

    @model_validator(mode="after")
    def _check_archive(self) -> "Data":
        if self.source == "custom" and self.archive is None:
            raise ValueError("archive: source custom needs the path of a case table, a zip or a folder")
        if self.source == "phantom" and self.archive is not None:
            raise ValueError("archive: source phantom takes none; set source to busi or custom, or archive to null")
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    seed: Seed
    data: Data
    phantom: Scanner


def fetch_busi() -> Path:
    """Download BUSI from Kaggle to the cache of kagglehub, and return the folder; UserError without a network."""
    # Importing it is slow, and most runs don't need it.
    import kagglehub  # noqa: PLC0415
    from kagglehub.exceptions import BackendError, DataCorruptionError, KaggleApiHTTPError  # noqa: PLC0415

    try:
        return Path(kagglehub.dataset_download(BUSI_ON_KAGGLE))
    except (OSError, BackendError, DataCorruptionError, KaggleApiHTTPError) as error:
        raise UserError(
            f"BUSI could not be downloaded from Kaggle ({type(error).__name__}). Check the network, or set "
            "data.archive to the path of a zip or folder that you fetched some other way, or data.source to phantom."
        ) from error


def bring(data: Data, scanner: Scanner, seed: int, folder: Path) -> list[Case]:
    """Fill `folder` from the source that `data` names, and verify what came."""
    match data.source:
        case "phantom":
            return write_phantom(folder, data.phantom_images, seed, scanner)
        case "busi":
            archive = Path(data.archive) if data.archive else fetch_busi()
            with opened(archive, folder.parent, data.max_gib) as root:
                cases = copy_release(root, folder)
            manifest.check(cases, manifest.BUSI)
            return cases
        case "custom":
            return copy_custom(Path(data.archive or ""), folder, data.max_gib)


@command
def main() -> None:
    """Fill data/raw."""
    loaded = load(Params)
    with written_aside(RAW) as folder:
        folder.mkdir()
        cases = bring(loaded.data, loaded.phantom, loaded.seed, folder)
        write_table(folder, cases)
    counts = pd.Series([case.cls for case in cases]).value_counts().sort_index()
    print(f"{len(cases)} images: " + ", ".join(f"{count} {cls}" for cls, count in counts.items()))


if __name__ == "__main__":
    main()
