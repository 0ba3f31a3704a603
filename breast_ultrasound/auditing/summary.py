"""Count what the table of groups.csv holds."""

from typing import Any

import pandas as pd

from breast_ultrasound.auditing.quality import FLAGS

# Why an image is dropped: values of the column `dropped`, beside `no`.
CONFLICT, NEAR_DUPLICATE = "conflict", "near-duplicate"


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Count the images, patients, frames, sweeps, groups, flags and dropped images of the table in groups.csv."""
    members, has_patient = table.groupby("frame").size(), table["patient"] != ""
    swept = table.groupby("sweep")["frame"].nunique()
    return {
        "images": len(table),
        "patients": int(table.loc[has_patient, "patient"].nunique()),
        "images_of_unknown_patients": int((~has_patient).sum()),
        "frames": len(members),
        "frames_with_near_duplicates": int((members > 1).sum()),
        "images_with_near_duplicates": int(members[members > 1].sum()),
        "largest_frame": int(members.max()),
        "sweeps": int((swept > 1).sum()),
        "frames_in_sweeps": int(swept[swept > 1].sum()),
        "largest_sweep": int(swept.max()),
        "groups": int(table["group"].nunique()),
        "largest_group": int(table.groupby("group").size().max()),
        "flagged": {flag: int(table[flag].sum()) for flag in FLAGS},
        "dropped": {reason: int((table["dropped"] == reason).sum()) for reason in (CONFLICT, NEAR_DUPLICATE)},
    }
