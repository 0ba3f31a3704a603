"""Group the images that must never be split between training and test.

Writes data/groups.csv (id, class, group) and counts to metrics/audit.json. Images with the same decoded pixels form one
group, every other image its own; groups are numbered in the order of their first image.
"""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common import paths
from stages.common.errors import command
from stages.common.files import written_aside
from stages.common.images import map_on_all_cores, pixel_digest, read_grey
from stages.common.release import scan


def group_numbers(keys: Sequence[str]) -> list[int]:
    """Number equal keys alike, counting from 0 in the order of first appearance."""
    return pd.factorize(np.asarray(keys, dtype=object))[0].tolist()


def summarise(groups: pd.DataFrame) -> dict[str, int]:
    """Counts of images, groups, images with a repeat, and groups that span several classes."""
    by_group = groups.groupby("group")
    members, classes = by_group.size(), by_group["class"].nunique()
    return {
        "images": len(groups),
        "groups": len(members),
        "groups_with_repeats": int((members > 1).sum()),
        "images_with_repeats": int(members[members > 1].sum()),
        "groups_in_several_classes": int((classes > 1).sum()),
    }


@command
def main() -> None:
    """Audit data/raw."""
    cases = scan(paths.RAW)
    keys = list(map_on_all_cores(lambda case: pixel_digest(read_grey(case.image)), cases, "audit"))
    groups = pd.DataFrame(
        {"id": [case.id for case in cases], "class": [case.cls for case in cases], "group": group_numbers(keys)}
    )
    with written_aside(paths.GROUPS) as aside:
        groups.to_csv(aside, index=False)
    with written_aside(paths.AUDIT) as aside:
        aside.write_text(json.dumps(summarise(groups), indent=2) + "\n")


if __name__ == "__main__":
    main()
