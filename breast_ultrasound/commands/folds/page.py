"""The page of a check: the images of each frame, sweep and patient that a split parts, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breast_ultrasound.cases.images import read_grey
from breast_ultrasound.commands.folds.checking import Check
from breast_ultrasound.pages.rendering import jpeg, render, shrink
from breast_ultrasound.pipeline.engine import map_on_all_cores

_WIDTH = 200


def render_page(check: Check, files: Mapping[str, Path], title: str, most: int) -> str:
    """Return a self-contained HTML page, with at most `most` frames, sweeps and patients each.

    `files` holds the picture of each image.
    """
    shown = {name: [list(dict.fromkeys(ids)) for ids in parted[:most]] for name, parted in check.crossings.items()}
    drawn = list(dict.fromkeys(case_id for parted in shown.values() for ids in parted for case_id in ids))
    cards = map_on_all_cores(_draw, [files[case_id] for case_id in drawn], "draw")
    return render(
        "split_check.html.j2",
        check=check,
        title=title,
        shown=shown,
        cards=dict(zip(drawn, cards, strict=True)),
        width=_WIDTH,
    )


def _draw(file: Path) -> dict[str, Any]:
    small = shrink(read_grey(file), _WIDTH)
    return {"picture": jpeg(small), "height": small.shape[0]}
