"""Draw planned images and write them as a data set in the release layout."""

from pathlib import Path

import numpy as np
import pandas as pd

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.raw import Case, image_file, mask_file, write_pictures
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.sources.phantom.lesions import add_lesion
from breast_ultrasound.sources.phantom.marks import draw_marks
from breast_ultrasound.sources.phantom.near_duplicates import export_again
from breast_ultrasound.sources.phantom.picture import DrawnImage
from breast_ultrasound.sources.phantom.plan import Plan, plan_images
from breast_ultrasound.sources.phantom.scanner import LINEAR, Scanner, fan_out, scan_tissue
from breast_ultrasound.sources.phantom.tissue import draw_tissue
from breast_ultrasound.sources.phantom.volume import Slice, probe_path, slip_along

_TWO_LESIONS_SHARE = 0.06


def write_phantom(folder: Path, images: int, seed: int, scanner: Scanner = LINEAR) -> list[Case]:
    """Draw a phantom data set into the empty `folder`, and write the truth about each image to planted.csv there.

    Returns the cases in the order of their classes and numbers. The same arguments give the same bytes.
    """
    plans = plan_images(images, seed)
    for cls in CLASSES:
        (folder / cls).mkdir()
    cases = []
    pictures = map_on_all_cores(lambda plan: draw(plan, seed, scanner), plans, "draw")
    for plan, picture in zip(plans, pictures, strict=True):
        masks = tuple(mask_file(folder, plan.cls, plan.id, number) for number in range(len(picture.masks)))
        cases.append(Case(plan.id, plan.cls, image_file(folder, plan.cls, plan.id), masks, plan.patient))
        write_pictures(cases[-1], picture.image, picture.masks)
    _truth(plans).to_csv(folder / "planted.csv", index=False)
    return cases


def _truth(plans: list[Plan]) -> pd.DataFrame:
    """Return the table of planted.csv; its column `repeat` holds the kind of near-duplicate."""
    return pd.DataFrame(
        {
            "id": plan.id,
            "class": plan.cls,
            "patient": plan.patient,
            "sweep": plan.sweep,
            "frame": plan.frame,
            "repeat": plan.near_duplicate,
            "marks": plan.marks,
        }
        for plan in plans
    )


def draw(plan: Plan, seed: int, scanner: Scanner = LINEAR) -> DrawnImage:
    """Draw one planned image; the same plan and seed give the same pixels, whatever was drawn before."""
    on, slip = probe_path((seed, 6, plan.sweep))
    section = Slice((seed, 1, plan.sweep), on[plan.step], plan.frame)
    picture = draw_frame(plan.frame_cls, section, scanner, slip[plan.step])
    # An exact near-duplicate carries the marks of its source, every other image its own.
    own = plan.near_duplicate not in ("", "exact")
    key = (seed, 3, CLASSES.index(plan.cls), plan.number) if own else (seed, 2, plan.frame)
    rng = np.random.default_rng(key)
    picture = export_again(picture, plan.near_duplicate, rng)
    return DrawnImage(draw_marks(picture, rng), picture.masks) if plan.marks else picture


def draw_frame(cls: str, rng: Slice, scanner: Scanner = LINEAR, slip: float = 0.0) -> DrawnImage:
    """Draw a new frame of a class, of a random size from about 300 to 700 pixels.

    The probe lies `slip` further along itself, as a share of the width, than where the lesions were placed.

    >>> picture = draw_frame("benign", Slice((2020,)))
    >>> picture.image.shape == picture.masks[0].shape
    True
    >>> picture.image[picture.masks[0]].mean() < picture.image.mean()  # lesions are dark
    np.True_
    """
    height = int(rng.integers(300, 560))
    width = int(height * rng.uniform(1.05, 1.45))
    tissue = draw_tissue(height, width, scanner.depth, rng)
    masks = []
    if cls != "normal":
        for _ in range(2 if rng.random() < _TWO_LESIONS_SHARE else 1):
            masks.append(add_lesion(tissue, cls, masks, rng))
    masks = [slip_along(mask.astype(np.uint8), slip) > 0 for mask in masks] or [np.zeros((height, width), bool)]
    picture = DrawnImage(scan_tissue(slip_along(tissue.echo, slip), scanner, rng), masks)
    return fan_out(picture, np.radians(scanner.sector / 2)) if scanner.sector else picture
