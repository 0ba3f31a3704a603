"""The application behind the page: what it serves, and the requests that its scripts make."""

import asyncio
import io
import json
import secrets
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from anyio import from_thread
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from breast_ultrasound.commands.page.desk import Desk, OutdatedError
from breast_ultrasound.commands.page.edges import edges_of
from breast_ultrasound.commands.page.guard import OnlyThisPage
from breast_ultrasound.commands.page.holding import Upload
from breast_ultrasound.commands.page.keeping import routes
from breast_ultrasound.findings.coco import coco
from breast_ultrasound.findings.table import as_csv, as_json
from breast_ultrasound.inference.card import INTENDED_USE
from breast_ultrasound.inference.choice import tested
from breast_ultrasound.pages.overlay import contour_path, encode
from breast_ultrasound.pages.rendering import TEMPLATES, render
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.scans.reading import SUFFIXES

# Drawn by sources/phantom.
_SAMPLE = Path(__file__).with_name("synthetic-phantom.jpg")

_SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in (TEMPLATES / "page").glob("*.js")}

# Of a frame; more have no meaning to look at, and each is a row of the page.
_MOST_LESIONS = 100

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'nonce-{nonce}'",
        "style-src 'nonce-{nonce}'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

Threshold = Annotated[float, Query(gt=0, lt=1)]
Keys = Annotated[list[str], Query()]
Item = TypeVar("Item")


def application(desk: Desk, port: int, any_modality: bool = False) -> FastAPI:
    """Return the application that serves the page and its requests; `any_modality` ticks a box of the page."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OnlyThisPage, port=port)
    card = desk.network.card

    @app.exception_handler(KeyError)
    def report_missing(_request: Request, _error: Exception) -> Response:
        return JSONResponse({"detail": "This scan or frame is not on the page any more."}, 404)

    @app.exception_handler(OutdatedError)
    def report_outdated(_request: Request, _error: Exception) -> Response:
        return JSONResponse({"detail": "A newer question about this frame has come."}, 409)

    @app.exception_handler(UserError)
    def report_mistake(_request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(ClientDisconnect)
    def end_request(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)

    @app.get("/")
    def page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        text = render(
            "page/page.html.j2",
            nonce=nonce,
            intended_use=INTENDED_USE,
            network=card.name,
            data=card.data,
            tested=tested(card),
            threshold=card.postprocessing.steps.threshold,
            suffixes=",".join(sorted(SUFFIXES)),
            limits=desk.limits,
            any_modality=any_modality,
            cases=desk.cases,
        )
        return HTMLResponse(text, headers={"content-security-policy": _POLICY.format(nonce=nonce)})

    @app.get("/page/{name}")
    def script(name: str) -> Response:
        if name not in _SCRIPTS:
            raise HTTPException(404)
        return Response(_SCRIPTS[name], media_type="text/javascript")

    @app.get("/synthetic-phantom.jpg")
    def sample() -> Response:
        return Response(_SAMPLE.read_bytes(), media_type="image/jpeg")

    async def receive(request: Request, name: str) -> Upload:
        upload = desk.begin(name)
        await _receive(request, upload, desk)
        return upload

    @app.post("/scans")
    def add(upload: Annotated[Upload, Depends(receive)], any_modality: bool = False) -> StreamingResponse:
        return StreamingResponse(_lines(desk.add(upload, any_modality)), media_type="application/x-ndjson")

    @app.delete("/scans/{key}", status_code=204)
    def remove(key: str) -> None:
        desk.remove(key)

    @app.get("/scans/{key}/{number}.png")
    def picture(key: str, number: int) -> Response:
        return Response(desk.frame(key, number).picture, media_type="image/png")

    @app.get("/scans/{key}/{number}")
    def contours(request: Request, key: str, number: int, threshold: Threshold) -> dict[str, Any]:
        segmented = desk.answer(key, number, threshold, lambda: _is_awaited(request))
        return {
            "contour": contour_path(segmented.mask),
            "edges": edges_of(segmented.mask),
            "count": len(segmented.lesions),
            "lesions": [asdict(lesion) for lesion in segmented.lesions[:_MOST_LESIONS]],
            "predicted_dice": segmented.predicted_dice,
        }

    @app.get("/masks.zip")
    def mask_files(request: Request, key: Keys, threshold: Threshold) -> Response:
        frames = _while_awaited(request, desk.named(key))
        masks = ((each.mask, desk.segmented(each.held, threshold).mask) for each in frames)
        files = ((name, encode(mask * np.uint8(255), ".png")) for name, mask in masks)
        return _download(_zipped(files), "masks.zip", "application/zip")

    @app.get("/coco.json")
    def annotations(request: Request, key: Keys, threshold: Threshold) -> Response:
        frames = _while_awaited(request, desk.named(key))
        masks = ((each.image, desk.segmented(each.held, threshold).mask) for each in frames)
        return _download(json.dumps(coco(masks)), "coco.json", "application/json")

    @app.get("/findings.csv")
    def table(request: Request, key: Keys, threshold: Threshold) -> Response:
        rows = desk.rows(_while_awaited(request, desk.named(key)), threshold)
        return _download(as_csv(rows), "findings.csv", "text/csv; charset=utf-8")

    @app.get("/findings.json")
    def findings(request: Request, key: Keys, threshold: Threshold) -> Response:
        rows = desk.rows(_while_awaited(request, desk.named(key)), threshold)
        return _download(as_json(rows), "findings.json", "application/json")

    if desk.cases is not None:
        app.include_router(routes(desk, desk.cases))
    return app


def _lines(messages: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(message) + "\n" for message in messages)


async def _receive(request: Request, upload: Upload, desk: Desk) -> None:
    """Read the body of a request into memory, while a form would go to a temporary file."""
    limits = desk.limits
    too_large = HTTPException(413, f"{upload.name}: larger than the {limits.file // 2**20} MB that are taken here.")
    if int(request.headers.get("content-length", 0)) > limits.file:
        raise too_large
    chunks = request.stream()
    try:
        while True:
            async with asyncio.timeout(limits.idle):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            desk.receive(upload, chunk)
            if upload.weight > limits.file:
                raise too_large
    except TimeoutError:
        raise HTTPException(408, f"{upload.name}: nothing has come for {limits.idle:g} s. Drop it again.") from None
    except UserError as error:
        raise HTTPException(413, str(error)) from None


def _is_awaited(request: Request) -> bool:
    """Return whether the browser still waits for the reply; called by a thread of the application's."""
    return not from_thread.run(request.is_disconnected)


def _while_awaited(request: Request, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items; ClientDisconnect once the browser waits no more."""
    for item in items:
        if not _is_awaited(request):
            raise ClientDisconnect
        yield item


def _download(content: bytes | str, name: str, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def _zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files by name as one zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()
