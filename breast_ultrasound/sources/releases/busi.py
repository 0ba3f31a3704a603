"""BUSI, in class folders; its ids are the names of its files, `benign (1)`, and it has no table of patients."""

from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.class_folders import copy_class_folders, find_root
from breast_ultrasound.sources.releases.release import Release

_ON_KAGGLE = "aryashah2k/breast-ultrasound-images-dataset/versions/1"


def download_from_kaggle() -> Path:
    """Download BUSI from Kaggle to the cache of kagglehub, and return the folder; UserError without a network."""
    # Importing it is slow, and most runs don't need it.
    import kagglehub  # noqa: PLC0415
    from kagglehub.exceptions import BackendError, DataCorruptionError, KaggleApiHTTPError  # noqa: PLC0415

    try:
        return Path(kagglehub.dataset_download(_ON_KAGGLE))
    except (OSError, BackendError, DataCorruptionError, KaggleApiHTTPError) as error:
        raise UserError(
            f"BUSI could not be downloaded from Kaggle ({type(error).__name__}). Check the network, or fetch it some "
            "other way and name the zip or folder in data.archives."
        ) from error


BUSI = Release(
    name="busi",
    title="BUSI",
    page="https://www.kaggle.com/datasets/aryashah2k/breast-ultrasound-images-dataset",
    licence="as the page has it; works that use it have to cite the article.",
    citation="Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. Data in Brief 28, "
    "104863, 2020. doi:10.1016/j.dib.2019.104863",
    manifest=Path(__file__).with_name("busi.sha256"),
    download=download_from_kaggle,
    find_root=find_root,
    copy=copy_class_folders,
)
