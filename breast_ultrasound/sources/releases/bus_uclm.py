"""BUS-UCLM: `images/ALWI_000.png`, `masks/ALWI_000.png` and INFO.csv; the four letters name the patient.

683 images of 38 patients, 174 benign, 90 malignant and 419 normal, 37 of them with Doppler and 6 of two views side by
side. Masks are in colour, green for benign and red for malignant. Those of one patient, HESN, have the size of whole
frames, while her images, four of them with a lesion, were cut smaller; stretched to the image the outlines fit.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from breast_ultrasound.cases.raw import Case
from breast_ultrasound.sources.downloading import download
from breast_ultrasound.sources.releases.release import Published, Release, copy_published, find_table_folder

_TABLE = "INFO.csv"


def copy_bus_uclm(root: Path, folder: Path) -> list[Case]:
    """Write the cases of the release in `root` to `folder`."""
    rows = pd.read_csv(root / _TABLE, sep=";", dtype=str, encoding="utf-8-sig").to_dict("records")
    published = (
        Published(
            image=root / "images" / row["Image"],
            mask=root / "masks" / row["Image"],
            cls=row["Label"].lower(),
            id=f"bus-uclm {Path(row['Image']).stem}",
            patient=f"bus-uclm {row['Image'][:4]}",
            device="Siemens ACUSON S2000",
        )
        for row in rows
    )
    return copy_published(published, folder)


BUS_UCLM = Release(
    name="bus-uclm",
    title="BUS-UCLM",
    page="https://data.mendeley.com/datasets/7fvgj4jsp7",
    licence="CC BY 4.0, as its authors' repository and the latest version of the record have it; see the page.",
    citation="Vallez N, Bueno G, Deniz O, Rienda MA, Pastor C. BUS-UCLM: breast ultrasound lesion segmentation "
    "dataset. Scientific Data, 2025. doi:10.1038/s41597-025-04562-3",
    manifest=Path(__file__).with_name("bus_uclm.sha256"),
    download=partial(
        download,
        "https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/7fvgj4jsp7-1.zip",
        "bus-uclm.zip",
    ),
    find_root=partial(find_table_folder, _TABLE),
    copy=copy_bus_uclm,
)
