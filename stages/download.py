"""Fetch the images and masks of all sources to data/raw, in one layout (cases/raw.py), and verify them.

`data.sources` in params.yaml names them: the phantom, public releases, and one's own case tables, folders and zips.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field, model_validator

from breast_ultrasound.cases.ids import is_safe
from breast_ultrasound.cases.raw import RAW, Case, Source, image_file, mask_file, write_sources, write_table
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Gib, Section, Seed, load
from breast_ultrasound.sources.own_data import copy_own_data, name_of
from breast_ultrasound.sources.phantom import Scanner, write_phantom
from breast_ultrasound.sources.releases import RELEASES, copy_from_archive

PHANTOM = "phantom"


class Data(Section):
    """Where the images come from."""

    sources: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)]
    archives: dict[str, Annotated[str, Field(min_length=1)] | None]
    max_gib: Gib
    phantom_images: Annotated[int, Field(ge=20, le=1_000_000)]

    @model_validator(mode="after")
    def _check(self) -> "Data":
        unknown = self.archives.keys() - RELEASES.keys()
        if unknown:
            raise ValueError(f"archives: {', '.join(sorted(unknown))} is none of {', '.join(RELEASES)}")
        names = Counter(source_name(source).casefold() for source in self.sources)
        repeated = [name for name, times in names.items() if times > 1]
        if repeated:
            raise ValueError(f"sources: {', '.join(repeated)} is the name of more than one; rename the file or folder")
        return self


class Params(Section):
    """The keys of params.yaml that this stage reads."""

    seed: Seed
    data: Data
    phantom: Scanner


def source_name(source: str) -> str:
    """Return the name of an entry of `data.sources`: the entry itself, or of a path what `own_data.name_of` has."""
    return source if source == PHANTOM or source in RELEASES else name_of(Path(source))


def fetch_cases(params: Params, folder: Path) -> list[Case]:
    """Fill `folder` with the verified cases of all sources, and return them.

    An image has the same id, and a patient the same name, in every run: both begin with the name of the release, except
    those of BUSI. Only where the phantom or one's own data are joined with others, theirs also get a name in front.
    """
    sources, cases = params.data.sources, []
    for source in sources:
        if len(sources) == 1 or source in RELEASES:
            fetched = _fetch(source, params, folder)
        else:
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as part:
                fetched = [_move(case, folder, source_name(source)) for case in _fetch(source, params, Path(part))]
        cases += [replace(case, source=case.source or source_name(source)) for case in fetched]
    return cases


def describe_sources(cases: Sequence[Case]) -> list[Source]:
    """Return what the sources of the cases are, in the order of their names."""
    described = []
    for name, images in sorted(Counter(case.source for case in cases).items()):
        release = RELEASES.get(name)
        about = (release.title, release.page, release.licence, release.citation) if release else ()
        described.append(Source(name, images, *about))
    return described


def _fetch(source: str, params: Params, folder: Path) -> list[Case]:
    """Fill `folder` from one source."""
    data = params.data
    if source == PHANTOM:
        return write_phantom(folder, data.phantom_images, params.seed, params.phantom)
    if source in RELEASES:
        archive = data.archives.get(source)
        return copy_from_archive(RELEASES[source], Path(archive) if archive else None, folder, data.max_gib)
    if not Path(source).exists():
        names = ", ".join((PHANTOM, *RELEASES))
        raise UserError(f"data.sources: {source!r} is none of {names}, and no file or folder has this name.")
    return copy_own_data(Path(source), folder, data.max_gib)


def _move(case: Case, folder: Path, name: str) -> Case:
    """Move the files of a case to `folder`, and return it with `name` in front of its id and patient."""
    case_id = f"{name} {case.id}"
    if not is_safe(case_id):
        raise UserError(f"data.sources: the id {case_id!r} can't be a file's name. Rename the file or folder {name!r}.")
    moved = replace(
        case,
        id=case_id,
        image=image_file(folder, case.cls, case_id),
        masks=tuple(mask_file(folder, case.cls, case_id, number) for number in range(len(case.masks))),
        patient=f"{name} {case.patient}" if case.patient else "",
    )
    moved.image.parent.mkdir(exist_ok=True)
    for before, after in zip((case.image, *case.masks), (moved.image, *moved.masks), strict=True):
        before.replace(after)
    return moved


@command
def main() -> None:
    """Fill data/raw."""
    params = load(Params)
    with atomic_write(RAW) as folder:
        folder.mkdir()
        cases = fetch_cases(params, folder)
        write_table(folder, cases)
        write_sources(folder, describe_sources(cases))
    table = pd.DataFrame({"source": [case.source for case in cases], "class": [case.cls for case in cases]})
    print(pd.crosstab(table["source"], table["class"], margins=True, margins_name="all"))


if __name__ == "__main__":
    main()
