"""Serve a page to try the network on: `uv run --extra page page`, then open the address that it prints.

Drop scans on it, pictures, DICOM or clips; look at the contours, the class and the sizes, move the threshold, download
masks, COCO or findings. The page is for this machine alone (127.0.0.1): what is dropped stays in memory until the page
ends, and requests of other sites or under other names are refused. For research, no medical device.
"""

import argparse
import contextlib
import json
import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breast_ultrasound.commands.page.desk import Desk, Limits, plain_name, zipped
from breast_ultrasound.findings.coco import coco
from breast_ultrasound.findings.table import as_csv, as_json
from breast_ultrasound.inference.card import INTENDED_USE
from breast_ultrasound.inference.choice import choose
from breast_ultrasound.inference.exported import open_network
from breast_ultrasound.pages.overlay import PREDICTION, contour_path, encode
from breast_ultrasound.pages.rendering import render
from breast_ultrasound.pipeline.errors import UserError, command
from breast_ultrasound.scans.reading import SUFFIXES

ADDRESS = "127.0.0.1"

# A browser may not store a response, guess its type, report it or embed it in another page.
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
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


class OnlyThisPage:
    """Middleware that refuses all requests but those of the page itself.

    It looks at Host, Origin and Sec-Fetch-Site. Host keeps out sites that point their own name at this machine (DNS
    rebinding).
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] == "http" and not self._is_own(Headers(scope=scope)):
            refusal = Response("Refused: this page serves itself alone.\n", status_code=403)
            await refusal(scope, receive, with_headers)
        else:
            await self.app(scope, receive, with_headers)

    def _is_own(self, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        return (
            headers.get("host") in self.hosts
            and (origin is None or origin.removeprefix("http://") in self.hosts)
            and site in ("none", "same-origin")
        )


def application(desk: Desk, port: int) -> FastAPI:
    """Return the application that serves the page and its requests."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OnlyThisPage, port=port)
    card = desk.network.card

    @app.exception_handler(KeyError)
    def report_missing(_request: Request, _error: Exception) -> Response:
        return JSONResponse({"detail": "This scan or frame is not on the page any more."}, 404)

    @app.exception_handler(ClientDisconnect)
    def end_request(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)

    @app.get("/")
    def page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        text = render(
            "page.html.j2",
            nonce=nonce,
            colour=PREDICTION,
            intended_use=INTENDED_USE,
            network=card.name,
            data=card.data,
            threshold=card.postprocessing.steps.threshold,
            suffixes=",".join(sorted(SUFFIXES)),
            limits=desk.limits,
        )
        return HTMLResponse(text, headers={"content-security-policy": _POLICY.format(nonce=nonce)})

    @app.post("/scans")
    async def add(request: Request, name: str) -> StreamingResponse:
        content = await _body(request, plain_name(name), desk.limits.file)
        return StreamingResponse(_lines(desk.add(name, content)), media_type="application/x-ndjson")

    @app.delete("/scans/{key}", status_code=204)
    def remove(key: str) -> None:
        desk.remove(key)

    @app.get("/scans/{key}/{number}.png")
    def picture(key: str, number: int) -> Response:
        return Response(desk.frame(key, number).picture, media_type="image/png")

    @app.get("/scans/{key}/{number}")
    def contours(key: str, number: int, threshold: Threshold) -> dict[str, Any]:
        segmented = desk.segmented(desk.frame(key, number), threshold)
        lesions = [asdict(lesion) for lesion in segmented.lesions]
        return {"contour": contour_path(segmented.mask), "lesions": lesions}

    @app.get("/masks.zip")
    def masks(key: Keys, threshold: Threshold) -> Response:
        files = ((name, encode(mask * np.uint8(255), ".png")) for name, mask in desk.masks(key, threshold))
        return _download(zipped(files), "masks.zip", "application/zip")

    @app.get("/coco.json")
    def annotations(key: Keys, threshold: Threshold) -> Response:
        return _download(json.dumps(coco(desk.masks(key, threshold))), "coco.json", "application/json")

    @app.get("/findings.csv")
    def table(key: Keys, threshold: Threshold) -> Response:
        return _download(as_csv(desk.rows(key, threshold)), "findings.csv", "text/csv; charset=utf-8")

    @app.get("/findings.json")
    def findings(key: Keys, threshold: Threshold) -> Response:
        return _download(as_json(desk.rows(key, threshold)), "findings.json", "application/json")

    return app


def _lines(messages: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(message) + "\n" for message in messages)


async def _body(request: Request, name: str, limit: int) -> bytes:
    """Read the body of a request into memory, while a form would go to a temporary file."""
    too_large = HTTPException(413, f"{name}: larger than the {limit // 2**20} MB that are taken here.")
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise too_large
    return bytes(content)


def _download(content: bytes | str, name: str, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (%(default)s); 0 takes a free one")
    parser.add_argument("--model", type=Path, help="exported network (by default the run's or the pretrained one)")
    parser.add_argument("--any-modality", action="store_true", help="also take DICOM files that are no ultrasound")
    return parser.parse_args()


@command
def main() -> None:
    """Serve the page until it is interrupted."""
    arguments = parse()
    # The page reports what is wrong with a file, once.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    choice = choose(arguments.model)
    network = open_network(choice.path)
    print(choice.reason)
    try:
        listening = socket.create_server((ADDRESS, arguments.port))
    except OSError as error:
        raise UserError(f"port {arguments.port} on {ADDRESS}: {error.strerror}. Give another --port.") from error
    port = listening.getsockname()[1]
    app = application(Desk(network, Limits(), arguments.any_modality), port)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", server_header=False, timeout_graceful_shutdown=1, ws="none")
    )
    print(f"page: http://{ADDRESS}:{port} (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listening])


if __name__ == "__main__":
    main()
