"""BUS-BRA: `Images/bus_0001-l.png`, `Masks/mask_0001-l.png` and bus_data.csv, whose Case is the patient.

1,875 images of 1,064 patients, 1,268 benign and 607 malignant, from four scanners. 5-fold-cv.csv holds its split, folds
1 to 5.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.raw import Case
from breast_ultrasound.sources.downloading import download
from breast_ultrasound.sources.releases.release import Published, Release, copy_published, find_table_folder

_TABLE, _FOLDS = "bus_data.csv", "5-fold-cv.csv"


def copy_bus_bra(root: Path, folder: Path) -> list[Case]:
    """Write the cases of the release in `root` to `folder`."""
    rows = pd.read_csv(root / _TABLE, dtype=str, keep_default_na=False).to_dict("records")
    fold_of = pd.read_csv(root / _FOLDS, index_col="ID")["kFold"]
    published = (
        Published(
            image=root / "Images" / f"{row['ID']}.png",
            mask=root / "Masks" / f"{row['ID'].replace('bus', 'mask', 1)}.png",
            cls=row["Pathology"],
            id=f"bus-bra {row['ID']}",
            patient=f"bus-bra {row['Case']}",
            device=row["Device"],
            birads=row["BIRADS"],
            fold=int(fold_of[row["ID"]]),
        )
        for row in rows
    )
    return copy_published(published, folder)


BUS_BRA = Release(
    name="bus-bra",
    title="BUS-BRA",
    page="https://zenodo.org/records/8231412",
    licence="free use with the copyright notice of its LICENSE.txt; works that use it have to cite the article.",
    citation="Gómez-Flores W, Gregorio-Calas MJ, Coelho de Albuquerque Pereira W. BUS-BRA: a breast ultrasound dataset "
    "for assessing computer-aided diagnosis systems. Medical Physics 51, 3110-3123, 2024. doi:10.1002/mp.16812",
    manifest=Path(__file__).with_name("bus_bra.sha256"),
    download=partial(download, "https://zenodo.org/records/8231412/files/BUSBRA.zip?download=1", "bus-bra.zip"),
    find_root=partial(find_table_folder, _TABLE),
    copy=copy_bus_bra,
)
