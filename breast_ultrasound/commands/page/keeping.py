"""The requests of `page --save`: what was kept of a frame, and what is to be kept."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from breast_ultrasound.commands.page.case_folder import CaseFolder, Judgement
from breast_ultrasound.commands.page.desk import Desk
from breast_ultrasound.commands.page.edges import edges_of, mask_of
from breast_ultrasound.pipeline.arrays import Grey
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import name_without_suffix

Place = Annotated[int, Field(ge=0, lt=2**32)]


class Verdict(BaseModel):
    """The class and the mask that a person keeps of a frame."""

    cls: str = Field(alias="class")
    edges: list[Place]


def routes(desk: Desk, cases: CaseFolder) -> APIRouter:
    """Return the requests about cases that are kept in a folder."""
    router = APIRouter()

    @router.get("/scans/{key}/{number}/case")
    def kept(key: str, number: int) -> dict[str, Any]:
        held = desk.frame(key, number)
        return {"edges": edges_of(cases.mask(held.pixels, held.frame))}

    @router.put("/scans/{key}/{number}/case")
    def keep(key: str, number: int, verdict: Verdict) -> dict[str, Any]:
        cases.keep(_judgement(desk, key, number, verdict))
        return {"kept": cases.verdict(desk.frame(key, number).pixels), "count": cases.count}

    return router


def _judgement(desk: Desk, key: str, number: int, verdict: Verdict) -> Judgement:
    """Return a verdict with the frame that it is about; UserError where its mask is none of the frame's."""
    scan, held = desk.scan(key), desk.frame(key, number)
    frame = replace(held.frame, whole=_decoded(held.picture))
    stem = name_without_suffix(Path(scan.name))
    try:
        mask = mask_of(verdict.edges, frame.whole.shape)
    except ValueError as error:
        raise UserError(f"{scan.name}: the mask does not fit the frame ({error}). Load the page again.") from error
    return Judgement(
        name=f"{stem} {number:05}" if scan.moves else stem,
        scan=stem if scan.moves else "",
        frame=frame,
        mask=mask,
        cls=verdict.cls,
        answer=desk.segmented(held, desk.network.card.postprocessing.steps.threshold),
        network=desk.network.sha256,
    )


def _decoded(picture: bytes) -> Grey:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)
